"""From scores to a summary: the shots that are worth most within a budget of time."""

from typing import NamedTuple

import numpy as np

from mmtasks.metrics.summary.knapsack import knapsack, knapsack_of_time
from mmtasks.metrics.summary.timeline import shot_lengths, shot_scores
from mmtasks.types import Annotation

RATIO = 0.15
"""The share of a video that the field's summaries may last."""

WORTHS = ("mean", "sum")
"""What a shot counts for: the mean of its frames' scores, as in the field, or their sum."""


class Selection(NamedTuple):
    """A summary. shots: (K,) int64, indices into the video's shots, in order; mask: (F,) bool, True where chosen."""

    shots: np.ndarray
    mask: np.ndarray


def budget_frames(video: Annotation, *, ratio: float | None = None, seconds: float | None = None) -> int:
    """How many frames a summary may have, rounded down, as the field does.

    Args:
        video: what it is a summary of.
        ratio: share of the video, above 0 and at most 1; by default 0.15.
        seconds: in place of the ratio, above 0. More than the video lasts is all of it.

    Raises:
        ValueError: both are given, or one is out of range.
    """
    if ratio is not None and seconds is not None:
        raise ValueError(f"ratio {ratio} and seconds {seconds}: give one of them")
    if seconds is not None:
        if not seconds > 0:
            raise ValueError(f"seconds {seconds} must be above 0")
        return int(min(seconds * video.fps, video.n_frames))
    return int(check_ratio(RATIO if ratio is None else ratio) * video.n_frames)


def check_ratio(ratio: float) -> float:
    """The ratio; ValueError unless above 0 and at most 1."""
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio {ratio} must be above 0 and at most 1")
    return ratio


def check_worth(worth: str) -> str:
    """The name; ValueError for one that does not exist."""
    if worth not in WORTHS:
        raise ValueError(f"worth {worth!r} is none of {list(WORTHS)}")
    return worth


def select(
    scores: np.ndarray,
    video: Annotation,
    *,
    ratio: float | None = None,
    seconds: float | None = None,
    worth: str = "mean",
    lengths: np.ndarray | None = None,
) -> Selection:
    """The shots that are worth most together within a budget of time (Song et al., TVSum, CVPR 2015).

    Scores are taken as they are: a shot whose mean is not above 0 is never chosen. Where no shot fits the budget,
    nothing is chosen.

    Args:
        scores: (T,), one a pick of the video; best in 0–1.
        video: what is known of it; what people said is not read.
        ratio: see ``budget_frames``.
        seconds: see ``budget_frames``.
        worth: what a shot counts for. ``mean`` of its frames' scores is the field's and favours short shots, which cost
            less and count as much; with ``sum`` the frames of the summary have the highest mean.
        lengths: (S,) seconds that each shot lasts, for a video whose frames do not come evenly: the budget is then one
            of time. None counts frames, as the field does.

    Raises:
        ValueError: an argument out of range, or scores, shots or lengths that do not fit the video.

    >>> shots = np.array([[0, 3], [4, 5], [6, 9]])
    >>> video = Annotation(np.arange(0, 10, 2), 10, 2.0, shots)
    >>> select(np.array([0.1, 0.2, 0.9, 0.5, 0.4]), video, seconds=3).mask.nonzero()[0].tolist()
    [4, 5, 6, 7, 8, 9]
    """
    frames, means = shot_lengths(video), shot_scores(scores, video)
    cost = frames if lengths is None else _check_lengths(lengths, video)
    values = means * cost if check_worth(worth) == "sum" else means
    budget = budget_frames(video, ratio=ratio, seconds=seconds)
    if lengths is None:
        shots = knapsack(values, frames, budget)
    else:
        shots = knapsack_of_time(values, cost, seconds or (ratio or RATIO) * float(cost.sum()))
    return Selection(shots, np.repeat(np.isin(np.arange(len(frames)), shots), frames))


def _check_lengths(lengths: np.ndarray, video: Annotation) -> np.ndarray:
    checked = np.asarray(lengths, dtype=np.float64)
    if checked.shape != (len(video.change_points),) or not (np.isfinite(checked) & (checked > 0)).all():
        raise ValueError(f"lengths {checked.shape} must be seconds above 0 of each of {len(video.change_points)} shots")
    return checked


def evenly_spaced(video: Annotation, *, ratio: float | None = None) -> np.ndarray:
    """What someone would show who saw nothing: equal pieces, evenly spaced, up to the budget. (F,) bool.

    As many pieces as shots of mean length fit the budget, at least one, each in the middle of its part of the video.
    """
    budget = budget_frames(video, ratio=ratio)
    pieces = max(1, len(video.change_points) * budget // video.n_frames)
    mask = np.zeros(video.n_frames, dtype=bool)
    for piece in range(pieces):
        first, end = (video.n_frames * edge // pieces for edge in (piece, piece + 1))
        length = min(budget * (piece + 1) // pieces - budget * piece // pieces, end - first)
        start = first + (end - first - length) // 2
        mask[start : start + length] = True
    return mask
