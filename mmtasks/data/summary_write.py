"""Write the structured h5 that ``SummaryH5`` reads: each video first to a file of its own, then all into one."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mmtasks.config import completed
from mmtasks.data.shots import video_shots
from mmtasks.data.video_features import Steps
from mmtasks.data.video_manifest import FramePeople, VideoRow
from mmtasks.errors import UserError

Group = dict[str, Any]
"""What the h5 holds of one video, by key."""
PROCESSOR = "processor"
JUDGEMENTS = ("user_scores", "user_summary")
TRAILING = 2
"""Frames more than were judged that a file may have: decoders disagree on whether the last ones count."""
SPARE = 1 << 20
"""Bytes that stay free beside what is written."""


def group_of(row: VideoRow, steps: Steps) -> Group:
    """Features and sound in half precision, shots cut by features, and what people said as scores or choices of frames.

    ``gtscore`` (T,) is the people's mean, of scores scaled to 0 to 1 over the video. Frames at the end that nobody
    judged, ``TRAILING`` at most, are left out.

    Raises:
        UserError: people judged another number of frames than the video has, or none of the steps.
    """
    if row.people is not None:
        steps = _judged(steps, row.people)
    shots = video_shots(steps.data.flatten(1).numpy(), steps.picks, steps.n_frames)
    group: Group = {
        "features": steps.data.numpy().astype(np.float16),
        "picks": steps.picks,
        "seconds": steps.seconds,
        "n_frames": steps.n_frames,
        "n_steps": len(steps.picks),
        "fps": steps.fps,
        "change_points": shots,
        "n_frame_per_seg": shots[:, 1] - shots[:, 0] + 1,
        "title": row.title,
        "category": row.category,
    }
    if steps.sound is not None:
        group["sound"] = steps.sound.numpy().astype(np.float16)
    frame_seconds = _frame_seconds(steps)
    scores, chosen = row.user_scores(frame_seconds), row.user_summary(frame_seconds)
    if scores is not None:
        mean = scores.mean(axis=0)[steps.picks]
        group |= {"user_scores": scores, "gtscore": (mean - mean.min()) / max(float(np.ptp(mean)), 1e-6)}
    if chosen is not None:
        group["user_summary"] = chosen.astype(np.uint8)
        group.setdefault("gtscore", chosen.mean(axis=0, dtype=np.float32)[steps.picks])
    return group


def _judged(steps: Steps, people: FramePeople) -> Steps:
    """The steps within the frames that people judged."""
    frames = people.n_frames
    if not 0 <= steps.n_frames - frames <= TRAILING:
        raise UserError(
            f"{people.where}: of {frames} frames, but the video has {steps.n_frames}; give those of this one"
        )
    kept = int(np.searchsorted(steps.picks, frames))
    if not kept:
        raise UserError(f"{people.where}: no step is left within the {frames} frames that people judged; clean less")
    return steps._replace(
        data=steps.data[:kept],
        picks=steps.picks[:kept],
        seconds=steps.seconds[:kept],
        sound=None if steps.sound is None else steps.sound[:kept],
        n_frames=frames,
    )


def _frame_seconds(steps: Steps) -> np.ndarray:
    """(n_frames,) when each frame is shown: between picks evenly, outside at the usual rate."""
    at = np.arange(steps.n_frames)
    seconds = np.interp(at, steps.picks, steps.seconds)
    before, after = np.minimum(at - steps.picks[0], 0), np.maximum(at - steps.picks[-1], 0)
    return seconds + (before + after) / steps.fps


class SummaryWriter:
    """The videos of an h5 that is whole at any time, however the process ends.

    Every video is written to a file of its own in the folder ``OUTPUT.parts`` and renamed, by any process. ``collect``
    copies them beside the output, which it then replaces. What an earlier run had finished is kept.

    Args:
        output: the h5.
        processor: description of what makes the features, which the file carries.

    Raises:
        UserError: the file is of another processor, or not an h5, or cannot be written.
    """

    def __init__(self, output: str | Path, processor: Any) -> None:
        self.output = Path(output)
        self.processor = json.dumps(processor, sort_keys=True)
        self.folder = self.output.with_name(f"{self.output.name}.parts")
        self._published: set[str] = self._names(self.output) if self.output.exists() else set()
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(f"{self.output}: cannot be written ({error.strerror}); choose another --output") from None

    def done(self) -> set[str]:
        """Ids of the videos in the output or waiting beside it."""
        return self._published | {name for part in self._parts() for name in self._names(part)}

    def unjudged(self) -> set[str]:
        """Those of them that hold nothing of what people said."""
        import h5py

        found: set[str] = set()
        for path in self._sources():
            with h5py.File(path, "r") as file:
                found |= {name for name in file if not any(key in file[name] for key in JUDGEMENTS)}
        return found

    def add(self, name: str, group: Group) -> None:
        """Write one video, all of it or nothing."""
        part = self.folder / f"{hashlib.sha256(name.encode()).hexdigest()[:24]}.h5"
        temporary = part.with_suffix(f".{os.getpid()}")
        _check_room(temporary, sum(np.asarray(value).nbytes for value in group.values()))
        with _created(temporary) as file:
            file.attrs[PROCESSOR] = self.processor
            target = file.create_group(name)
            for key, value in group.items():
                large = isinstance(value, np.ndarray) and key.startswith("user_")
                target.create_dataset(key, data=value, compression="gzip" if large else None)
        temporary.replace(part)

    def collect(self, *, always: bool = True) -> None:
        """Bring the output up to date; unless ``always``, only if as many videos wait as it holds.

        So much is copied at most twice.
        """
        parts = self._parts()
        if not parts or not (always or len(parts) >= len(self._published)):
            return
        import h5py

        temporary = self.output.with_name(f".{self.output.name}.part")
        sources = self._sources()
        _check_room(temporary, sum(path.stat().st_size for path in sources))
        with _created(temporary) as file:
            file.attrs[PROCESSOR] = self.processor
            for path in sources:
                with h5py.File(path, "r") as source:
                    for name in source:
                        if name not in file:
                            source.copy(source[name], file, name)
            self._published = set(file)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(self.output)
        _remove(parts)

    def close(self) -> None:
        """Collect what waits and leave nothing beside the output."""
        self.collect()
        _remove(self.folder.glob("*"))
        self.folder.rmdir()

    def _sources(self) -> list[Path]:
        """All files that hold finished videos."""
        return [*self._parts(), *([self.output] if self._published else [])]

    def _parts(self) -> list[Path]:
        """Finished ones of the same processor."""
        return [part for part in sorted(self.folder.glob("*.h5")) if self._is_ours(part)]

    def _is_ours(self, part: Path) -> bool:
        import h5py

        try:
            with h5py.File(part, "r") as file:
                return self._is_same(file.attrs.get(PROCESSOR))
        except OSError:
            return False

    def _names(self, path: Path) -> set[str]:
        import h5py

        try:
            with h5py.File(path, "r") as file:
                if not self._is_same(file.attrs.get(PROCESSOR)):
                    raise UserError(f"{path}: made with other options or another encoder; choose another --output")
                return set(file)
        except OSError as error:
            raise UserError(f"{path}: not a readable h5 file ({' '.join(str(error).split())})") from None

    def _is_same(self, described: Any) -> bool:
        """Whether a file's features are made as these, perhaps before an option existed that is at its default here."""
        try:
            plain, own = json.loads(described), json.loads(self.processor)
        except (TypeError, ValueError):
            return False
        return bool(completed(plain, own) == completed(own, own))


@contextmanager
def _created(path: Path) -> Iterator[Any]:
    """An h5 to write into, of which nothing stays where that fails; HDF5 tells of a full disk in two kinds of error."""
    import h5py

    try:
        with h5py.File(path, "w") as file:
            yield file
    except (OSError, RuntimeError) as error:
        path.unlink(missing_ok=True)
        number = re.search(r"errno = (\d+)", str(error))
        reason = os.strerror(int(number[1])) if number else " ".join(str(error).split())
        raise UserError(f"{path}: cannot be written ({reason}); make room or choose another --output") from None


def _check_room(path: Path, size: int) -> None:
    """HDF5 leaves files that it cannot write to the end in a state in which not even closing them works."""
    free = shutil.disk_usage(path.parent).free
    if free < size + SPARE:
        raise UserError(
            f"{path}: needs {size >> 20} MB, but {free >> 20} MB are free; make room and run again, "
            "which goes on with what is finished"
        )


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink(missing_ok=True)
