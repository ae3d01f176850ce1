"""Video files on disk with what people said of them, before their features are made."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmtasks.data.manifest import expand, read_rows, resolve
from mmtasks.errors import UserError

ROUNDING = 1e-6


class FramePeople(NamedTuple):
    """What U people said of the first F frames of a video.

    where: names it in messages, as "people.h5:video_1"; user_scores: (U, F) float32, None where they only chose;
    user_summary: (U, F) bool, None where they only scored.
    """

    where: str
    user_scores: np.ndarray | None
    user_summary: np.ndarray | None

    @property
    def n_frames(self) -> int:
        """F."""
        values = self.user_scores if self.user_scores is not None else self.user_summary
        return 0 if values is None else values.shape[1]


class VideoRow(NamedTuple):
    """One file.

    ``scores``: for each person importance, evenly spaced over the video; ``segments``: for each person the stretches
    they chose, as [[start, end], …] in seconds. Both may be empty. ``people``: instead, what was said of each frame.
    """

    id: str
    path: Path
    where: str
    title: str = ""
    category: str = ""
    scores: tuple[tuple[float, ...], ...] = ()
    segments: tuple[tuple[tuple[float, float], ...], ...] = ()
    people: FramePeople | None = None

    @property
    def is_judged(self) -> bool:
        """Whether anybody said anything of it."""
        return bool(self.scores or self.segments) or self.people is not None

    def user_scores(self, seconds: np.ndarray) -> np.ndarray | None:
        """(U, n_frames) float32, of the time of every frame."""
        if self.people is not None:
            return self.people.user_scores
        if not self.scores:
            return None
        part = np.zeros(1)
        if len(seconds) > 1:  # the last frame stays as long as the others do on average
            part = (seconds - seconds[0]) / (seconds[-1] - seconds[0]) * (1 - 1 / len(seconds))
        return np.stack([np.asarray(s, dtype=np.float32)[(part * len(s) + ROUNDING).astype(int)] for s in self.scores])

    def user_summary(self, seconds: np.ndarray) -> np.ndarray | None:
        """(U, n_frames) bool, of the time of every frame."""
        if self.people is not None:
            return self.people.user_summary
        if not self.segments:
            return None
        chosen = np.zeros((len(self.segments), len(seconds)), dtype=bool)
        for row, stretches in zip(chosen, self.segments, strict=True):
            for start, end in stretches:
                row |= (seconds >= start) & (seconds < end)
        return chosen


class VideoManifest(Sequence[VideoRow]):
    """A JSONL file with ``id`` and ``video``, a path from the manifest's folder.

    A row may also have ``title``, ``category``, ``scores``, a list of numbers evenly spaced over the video, or one such
    list for each person, and ``segments``, a list of [start, end] in seconds, or one such list for each person. A row
    that cannot be used is left out and described in ``problems``.

    Args:
        path: the file; environment variables are filled in.

    Raises:
        UserError: the file is unusable.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        file = Path(expand(path))
        self.problems: list[str] = []
        self._rows: list[VideoRow] = []
        for where, row in read_rows(file, columns=("id", "video")):
            try:
                self._rows.append(_row(row, file.parent, where))
            except UserError as error:
                self.problems.append(str(error))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]


def video_files(paths: Sequence[str]) -> list[VideoRow]:
    """Rows of files alone, each named by its stem.

    Raises:
        UserError: two would have one name.
    """
    rows: dict[str, VideoRow] = {}
    for path in paths:
        name = Path(path).stem
        if name in rows:
            raise UserError(f"{path}: named {name!r} like {rows[name].path}; rename it, or give a manifest with ids")
        rows[name] = VideoRow(name, Path(path), path)
    return list(rows.values())


def _row(row: dict[str, Any], folder: Path, where: str) -> VideoRow:
    if "/" in row["id"] or row["id"] in (".", ".."):
        raise UserError(f"{where}: id {row['id']!r} cannot name a group of an h5; leave out the slash")
    if not isinstance(row.get("video"), str) or not row["video"].strip():
        raise UserError(f"{where}: video is {row.get('video')!r}; give the path of a file")
    path = resolve(folder, row["video"], where)
    if not path.is_file():
        raise UserError(f"{where}: no such video {path}")
    title, category = (row.get(key) or "" for key in ("title", "category"))
    if not isinstance(title, str) or not isinstance(category, str):
        raise UserError(f"{where}: title and category must be texts, not {title!r} and {category!r}")
    scores = _each_person(row.get("scores"), 1, "scores", "numbers", where)
    segments = _each_person(row.get("segments"), 2, "segments", "[start, end] in seconds", where)
    for person in segments:
        for segment in person:
            if len(segment) != 2 or not 0 <= segment[0] < segment[1]:
                raise UserError(f"{where}: segment {list(segment)} must be [start, end], 0 <= start < end, in seconds")
    return VideoRow(row["id"], path, where, title, category, scores, segments)


def _each_person(value: Any, depth: int, key: str, told: str, where: str) -> Any:
    """Numbers nested ``depth`` deep for each person; what is of one person alone becomes a list of one."""
    if value in (None, [], ""):
        return ()
    for people in (value, [value]):
        if nested := _numbers(people, depth + 1):
            return nested
    raise UserError(f"{where}: {key} must be a list of {told}, or one such list for each person")


def _numbers(value: Any, depth: int) -> Any:
    """Tuples of finite numbers, nested ``depth`` deep; None for anything else, and where the innermost are none."""
    if depth == 0:
        number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if number else None
    if not isinstance(value, list) or (depth == 1 and not value):
        return None
    found = tuple(_numbers(item, depth - 1) for item in value)
    return None if None in found else found
