"""Videos in the field's structured h5: a group for each, with features, picks, shots and what people said."""

import json
import math
from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmtasks.data.folds import carve, read_fold
from mmtasks.data.manifest import expand
from mmtasks.data.summary_rows import SummaryRow, SummarySource
from mmtasks.errors import UserError
from mmtasks.types import Annotation

PARTS = ("all", "train", "val", "test")
NEEDED = ("features", "picks", "n_frames", "change_points")
TARGETS = ("gtscore", "mean", "rank")
FEATURE_RANKS = (2, 3)
"""Dimensions that features may have: (T, D), or (T, P, D) of places."""


class SummaryH5(SummarySource):
    """The videos of an h5 file, or those of a part of a fold.

    A group holds ``features`` (T, D), or (T, P, D) of P places of each step, ``picks`` (T,), ``n_frames``,
    ``change_points`` (S, 2), and what there is of ``gtscore`` (T,), ``user_scores`` (U, n_frames), ``user_summary``
    (U, n_frames), ``fps``, ``seconds`` (T,), when each step is shown, ``sound`` (T, D), what is heard around each step,
    ``title``, ``category``. One that cannot be used is left out and described in ``problems``.

    Args:
        path: the file; environment variables are filled in.
        splits: JSON, a list of ``{"train": [id, …], "test": [id, …]}``; None where all videos are for training.
        fold: which of the splits, from 0.
        part: ``all``, or of the fold ``test``, and ``val`` and ``train``, both out of its training videos.
        val_share: of the training videos, spread over their categories; above 0 and below 1.
        target: what to learn: ``gtscore`` as in the file; ``mean`` over people; ``rank``: the mean over people of
            the ranks that each one's scores have among their own.

    Raises:
        UserError: the file or the splits cannot be used.
    """

    def __init__(
        self,
        path: str,
        *,
        splits: str | None = None,
        fold: int = 0,
        part: str = "all",
        val_share: float = 0.2,
        target: str = "gtscore",
    ) -> None:
        if part not in PARTS:
            raise ValueError(f"part {part!r} is none of {', '.join(PARTS)}")
        if target not in TARGETS:
            raise ValueError(f"target {target!r} is none of {', '.join(TARGETS)}")
        if part == "all" and splits is not None:
            raise ValueError("part 'all' has no use for splits; leave them out, or name a part")
        if part == "test" and splits is None:
            raise ValueError("part 'test' needs splits, which say what is for testing")
        if not 0 < val_share < 1:
            raise ValueError(f"val_share {val_share} must be above 0 and below 1")
        self.path = expand(path)
        self.splits = splits
        self.fold = fold
        self.part = part
        self.val_share = val_share
        self.target = target
        with open_h5(self.path) as file:
            self.processor = _processor(file)
            names = self._names({name: _category(file, name) for name in sorted(file)})
            self.problems: list[str] = []
            self._step = _usual_step(file)
            self.rows = [row for name in names if (row := self._usable(file, name)) is not None]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Any) -> Any:
        return self.rows[index]

    @property
    def has_sound(self) -> bool:
        """Whether any video has, or whoever made the file listened to them all."""
        listened = (self.processor or {}).get("init_args", {}).get("sound")
        return listened is not None or any(row.sound is not None for row in self.rows)

    def _names(self, categories: dict[str, str]) -> list[str]:
        """The videos of the part, in order."""
        training = list(categories)
        if self.splits is not None:
            fold = read_fold(self.splits, self.fold, set(categories), self.path)
            training = fold["train"]
            if self.part == "test":
                return fold["test"]
        if self.part == "all":
            return training
        held_out = carve(training, categories, self.val_share)
        return held_out if self.part == "val" else [name for name in training if name not in held_out]

    def _usable(self, file: Any, name: str) -> SummaryRow | None:
        """The row of a group, None with a line in ``problems``, which names group and key, where it is faulty."""
        where = f"{self.path}:{name}"
        try:
            return self._row(file[name], name, where)
        except UserError as error:
            self.problems.append(str(error))
        except (KeyError, OSError, TypeError, ValueError) as error:
            self.problems.append(f"{where}: cannot be read ({' '.join(str(error).split())}); make it again")
        return None

    def _row(self, group: Any, name: str, where: str) -> SummaryRow:
        annotation = _annotation(group, where)
        loads = {}
        for key in ("features", "sound"):
            if key in group:
                _check_steps(group, key, annotation, where)
                loads[key] = partial(read_steps, self.path, name, key)
        target = _target(group, annotation, self.target, where)
        title, seconds = _text(group, "title"), _seconds(group, annotation, where)
        self._check_alike(group["features"].shape[1:], where)
        return SummaryRow(name, where, loads["features"], annotation, title, target, seconds, loads.get("sound"))

    def _check_alike(self, step: tuple[int, ...], where: str) -> None:
        """A step's features have the shape of those of most videos of the file, also of other parts of the fold."""
        if step != self._step:
            found, usual = (" x ".join(map(str, shape)) for shape in (step, self._step or ()))
            raise UserError(f"{where}: features of {found} a step, but of {usual} in most videos; make all alike")


def read_steps(path: str, name: str, key: str) -> Tensor:
    """``features`` (T, D) or (T, P, D), or ``sound`` (T, D) of a video, float32, read when needed.

    Those of many hours would fill memory.
    """
    with open_h5(path) as file:
        return torch.from_numpy(file[name][key][()].astype(np.float32))


def open_h5(path: str) -> Any:
    """An h5 file to read.

    Raises:
        UserError: no such file, or not an h5.
    """
    import h5py

    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: not a readable h5 file ({' '.join(str(error).split())})") from None


def _processor(file: Any) -> Any:
    """What made the features, as ``describe`` gives it, where the file says so. Nothing of it is run here."""
    described = file.attrs.get("processor")
    if described is None:
        return None
    try:
        return dict(json.loads(described))
    except (TypeError, ValueError):
        raise UserError(
            f"{file.filename}: its attribute 'processor' is not one of mmtasks; make the file again"
        ) from None


def _text(group: Any, key: str) -> str:
    if key not in group:
        return ""
    value = group[key][()]
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _category(file: Any, name: str) -> str:
    """That of a group, "" of one that cannot be read, which will be told when it is needed."""
    try:
        return _text(file[name], "category")
    except (KeyError, OSError, TypeError, ValueError):
        return ""


def _usual_step(file: Any) -> tuple[int, ...] | None:
    """The shape of a step's features in most videos, of the first one's among equals; None where none has any."""
    shapes: Counter[tuple[int, ...]] = Counter()
    for name in sorted(file):
        try:
            shape = file[name]["features"].shape
        except (AttributeError, KeyError, OSError, TypeError, ValueError):
            continue  # told when it is needed
        if len(shape) in FEATURE_RANKS and 0 not in shape:
            shapes[shape[1:]] += 1
    return shapes.most_common(1)[0][0] if shapes else None


def _seconds(group: Any, annotation: Annotation, where: str) -> np.ndarray | None:
    """(T,) float64, ascending."""
    if "seconds" not in group:
        return None
    seconds = np.asarray(group["seconds"][()], dtype=np.float64)
    if seconds.shape != annotation.picks.shape:
        raise UserError(f"{where}: seconds has shape {seconds.shape}, but picks names {len(annotation.picks)} steps")
    if not np.isfinite(seconds).all() or seconds[0] < 0 or (np.diff(seconds) <= 0).any():
        raise UserError(f"{where}: seconds must ascend from 0 or later; make them again")
    return seconds


def _annotation(group: Any, where: str) -> Annotation:
    for key in NEEDED:
        if key not in group:
            raise UserError(f"{where}: has no {key!r}; the file must hold {', '.join(NEEDED)} of each video")
    picks, shots = group["picks"][()].astype(np.int64), group["change_points"][()].astype(np.int64)
    frames = int(group["n_frames"][()])
    _check_times(picks, shots, frames, where)
    scores, chosen = (_people(group, key, frames, where) for key in ("user_scores", "user_summary"))
    return Annotation(picks, frames, _fps(group, where), shots, scores, None if chosen is None else chosen > 0)


def _people(group: Any, key: str, frames: int, where: str) -> np.ndarray | None:
    """(U, F) of what people said, None where nobody did."""
    if key not in group:
        return None
    values = np.asarray(group[key][()])
    if not np.isfinite(values).all():
        raise UserError(f"{where}: {key} has values that are not numbers; mend or remove them")
    if values.ndim != 2 or values.shape[1] != frames:
        raise UserError(f"{where}: {key} has shape {values.shape}, but needs a row of {frames} frames a person")
    return values if len(values) else None


def _fps(group: Any, where: str) -> float:
    """Frames a second, 0 where it is not told."""
    fps = float(group["fps"][()]) if "fps" in group else 0.0
    if not 0 <= fps < math.inf:
        raise UserError(f"{where}: fps is {fps}; give the frames a second, or leave it out")
    return fps


def _check_times(picks: np.ndarray, shots: np.ndarray, frames: int, where: str) -> None:
    if picks.ndim != 1 or len(picks) == 0:
        raise UserError(f"{where}: picks has shape {picks.shape}, but needs the frame of each step, at least one")
    if picks[0] < 0 or picks[-1] >= frames or (np.diff(picks) <= 0).any():
        raise UserError(f"{where}: picks must ascend within 0 and {frames - 1}; they end at {picks[-1]}")
    if shots.ndim != 2 or shots.shape[1] != 2 or len(shots) == 0:
        raise UserError(
            f"{where}: change_points has shape {shots.shape}, but needs two frames of each shot, first and last"
        )
    if (shots[:, 1] < shots[:, 0]).any() or (shots[1:, 0] <= shots[:-1, 1]).any():
        raise UserError(f"{where}: change_points overlap or run backwards; each shot must begin after the one before")
    if shots[0, 0] < 0 or shots[-1, 1] >= frames:
        raise UserError(f"{where}: change_points reach to frame {shots[-1, 1]}, but the last frame is {frames - 1}")
    if shots[0, 0] > 0 or shots[-1, 1] < frames - 1 or (shots[1:, 0] > shots[:-1, 1] + 1).any():
        raise UserError(f"{where}: change_points leave frames out; the shots must cover 0 to {frames - 1}")


def _check_steps(group: Any, key: str, annotation: Annotation, where: str) -> None:
    values, steps = group[key], len(annotation.picks)
    ranks = FEATURE_RANKS if key == "features" else (2,)
    if values.ndim not in ranks or len(values) != steps:
        raise UserError(f"{where}: {key} has shape {values.shape}, but picks names {steps} steps")
    if 0 in values.shape:
        raise UserError(f"{where}: {key} has shape {values.shape}, which holds no number; make them again")
    if not np.isfinite(values[()]).all():
        raise UserError(f"{where}: {key} has values that are not numbers; make them again")


def _target(group: Any, annotation: Annotation, kind: str, where: str) -> np.ndarray | None:
    """(T,) in [0, 1], None where nobody judged."""
    if kind == "gtscore" and "gtscore" in group:
        values = group["gtscore"][()].astype(np.float32)
        if values.shape != annotation.picks.shape:
            raise UserError(f"{where}: gtscore has shape {values.shape}, but picks names {len(annotation.picks)} steps")
        if not (values.min() >= 0 and values.max() <= 1):
            raise UserError(f"{where}: gtscore must lie within 0 and 1; scale it, or set target to mean or rank")
        return values
    people = annotation.user_scores if annotation.user_scores is not None else annotation.user_summary
    if people is None:
        return None
    seen = people[:, annotation.picks].astype(np.float32)
    if kind == "rank":
        ranks = np.stack([_ranks(row) for row in seen])
        deviation = ranks.std(axis=1, keepdims=True)
        seen = (ranks - ranks.mean(axis=1, keepdims=True)) / np.where(deviation > 0, deviation, 1)
    mean = seen.mean(axis=0)
    return ((mean - mean.min()) / max(float(np.ptp(mean)), 1e-6)).astype(np.float32)


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse].astype(np.float32)
