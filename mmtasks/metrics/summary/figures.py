"""All figures of one video's scores, and their average over videos."""

from collections.abc import Iterable, Sequence

import numpy as np

from mmtasks.metrics.summary.correlations import correlations
from mmtasks.metrics.summary.fscore import f_scores
from mmtasks.metrics.summary.selection import RATIO, select
from mmtasks.types import Annotation

FIGURES = ("tau", "rho", "tau_of_mean", "rho_of_mean", "f_mean", "f_max")
"""Names of all figures, in the order of tables; see ``mmtasks.metrics.summary``."""


def figures(scores: np.ndarray, video: Annotation, *, ratio: float = RATIO, worth: str = "mean") -> dict[str, float]:
    """The figures of a video's scores; the F-scores only where people's summaries are known.

    Args:
        scores: (T,), one a pick of the video.
        video: with what people said.
        ratio: share of the video that the summary behind the F-scores may last, above 0 and at most 1.
        worth: what a shot counts for when it is chosen, ``mean`` or ``sum``, see ``select``.

    Raises:
        ValueError: a ratio or worth that is not allowed, or scores or annotations that do not fit the video.

    >>> chosen = np.array([[0, 0, 1, 1], [1, 1, 0, 0]], dtype=bool)
    >>> video = Annotation(np.arange(4), 4, 1.0, np.array([[0, 1], [2, 3]]), user_summary=chosen)
    >>> {name: round(value, 2) for name, value in figures(np.array([0.1, 0.2, 0.8, 0.9]), video, ratio=0.5).items()}
    {'tau': 0.0, 'rho': 0.0, 'tau_of_mean': 0.0, 'rho_of_mean': 0.0, 'f_mean': 0.5, 'f_max': 1.0}
    """
    found = correlations(scores, video)
    if video.user_summary is not None:
        found |= overlap(select(scores, video, ratio=ratio, worth=worth).mask, video.user_summary)
    return found


def overlap(mask: np.ndarray, summaries: np.ndarray) -> dict[str, float]:
    """``f_mean`` and ``f_max`` of chosen frames (F,) with the summaries (U, F) that people made."""
    found = f_scores(mask, summaries)
    return {"f_mean": float(found.mean()), "f_max": float(found.max())}


def average(videos: Iterable[dict[str, float]], names: Sequence[str] = FIGURES) -> dict[str, float]:
    """Each of these figures averaged over those that have it; a figure that none has is left out.

    >>> average([{"tau": 0.1}, {"tau": 0.3, "f_mean": 0.5}])
    {'tau': 0.2, 'f_mean': 0.5}
    """
    found = list(videos)
    kept = {name: [video[name] for video in found if name in video] for name in names}
    return {name: float(np.mean(values)) for name, values in kept.items() if values}
