"""What people said of every frame of a video, as data sets such as SumMe give it: in an h5 beside the files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtasks.data.manifest import expand
from mmtasks.data.summary_h5 import open_h5
from mmtasks.data.video_manifest import FramePeople, VideoRow
from mmtasks.errors import UserError


def with_people(rows: Sequence[VideoRow], path: str) -> list[VideoRow]:
    """The rows, each with what the h5 ``path`` holds of its id; environment variables in the path are filled in.

    Raises:
        UserError: the file is unusable, nobody judged a row, or it is judged in its manifest as well.
    """
    people = read_people(path)
    return [_joined(row, people.get(row.id), path) for row in rows]


def read_people(path: str) -> dict[str, FramePeople]:
    """By video what an h5 holds of it: a group with ``user_summary`` (U, F), 0 or 1, or ``user_scores`` (U, F).

    Raises:
        UserError: no such file, not an h5, or a group without either or of other shapes, which is named.
    """
    path = expand(path)
    with open_h5(path) as file:
        return {name: _people(file[name], f"{path}:{name}") for name in sorted(file)}


def _joined(row: VideoRow, people: FramePeople | None, path: str) -> VideoRow:
    own = bool(row.scores or row.segments)
    if people is not None and own:
        raise UserError(f"{row.where}: has scores or segments, but {path} holds {row.id!r} as well; leave out one")
    if people is None and not own:
        raise UserError(f"{row.where}: nobody judged {row.id!r} in {path}; mend the id, or prepare it without --people")
    return row if people is None else row._replace(people=people)


def _people(group: Any, where: str) -> FramePeople:
    held = group.keys() if hasattr(group, "keys") else ()  # a dataset in the place of a group has none
    found = {key: _of_frames(group[key][()], key, where) for key in ("user_scores", "user_summary") if key in held}
    if not found:
        raise UserError(f"{where}: holds neither user_summary nor user_scores; give a row of frames for each person")
    if len({values.shape[1] for values in found.values()}) > 1:
        raise UserError(f"{where}: user_scores and user_summary are of different numbers of frames; mend one")
    scores, chosen = found.get("user_scores"), found.get("user_summary")
    return FramePeople(where, scores, None if chosen is None else chosen > 0)


def _of_frames(values: np.ndarray, key: str, where: str) -> np.ndarray:
    """(U, F) float32."""
    if values.ndim != 2 or 0 in values.shape:
        raise UserError(f"{where}: {key} has shape {values.shape}, but needs a row of frames for each person")
    if not np.isfinite(values).all():
        raise UserError(f"{where}: {key} has values that are not numbers; mend or remove them")
    return values.astype(np.float32)
