"""What people said of every frame of a video, as data sets such as SumMe give it: in an h5 beside the files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmtasks.data.manifest import expand
from mmtasks.data.summary_h5 import open_h5
from mmtasks.data.video_manifest import FramePeople, VideoRow
from mmtasks.errors import UserError


def with_people(rows: Sequence[VideoRow], path: str) -> tuple[list[VideoRow], list[str]]:
    """The rows, each with what the h5 ``path`` holds of its id, and a line for each that cannot be had.

    The h5 holds a group for each id with ``user_summary`` (U, F), 0 or 1, or ``user_scores`` (U, F); those of other
    ids are not read. Environment variables in the path are filled in. A row is left out whose group has neither or
    other shapes, which nobody judged, or which is judged in its manifest as well.

    Raises:
        UserError: no such file, or not an h5.
    """
    path = expand(path)
    joined: list[VideoRow] = []
    problems: list[str] = []
    with open_h5(path) as file:
        for row in rows:
            try:
                joined.append(_joined(row, file, path))
            except UserError as error:
                problems.append(str(error))
            except (KeyError, OSError, TypeError, ValueError) as error:
                problems.append(f"{path}:{row.id}: cannot be read ({' '.join(str(error).split())}); make it again")
    return joined, problems


def _joined(row: VideoRow, file: Any, path: str) -> VideoRow:
    held = row.id in file
    if held and row.is_judged:
        raise UserError(f"{row.where}: has scores or segments, but {path} holds {row.id!r} as well; leave out one")
    if not held and not row.is_judged:
        raise UserError(f"{row.where}: nobody judged {row.id!r} in {path}; mend the id, or prepare it without --people")
    return row._replace(people=_people(file[row.id], f"{path}:{row.id}")) if held else row


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
