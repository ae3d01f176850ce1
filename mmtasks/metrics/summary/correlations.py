"""Whether scores rank a video's moments as people do."""

from collections.abc import Callable
from types import ModuleType

import numpy as np

from mmtasks.errors import UserError
from mmtasks.metrics.summary.timeline import step_scores
from mmtasks.types import Annotation


def kendall(scores: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Kendall's τ-b (``scipy.stats.kendalltau``) of scores (T,) with each of U people (U, T): (U,) in -1–1.

    Where one side is constant, or T is 1, τ is not defined and scipy says nan. Here it is 0: what ranks nothing agrees
    with nobody. Needs the extra ``video``.

    Raises:
        UserError: scipy is not installed.

    >>> kendall(np.array([1.0, 2.0, 3.0]), np.array([[1, 3, 2], [5, 5, 5]])).round(2).tolist()
    [0.33, 0.0]
    """
    stats = _stats()

    def correlate(ranked: np.ndarray) -> np.ndarray:
        return stats.kendalltau(np.broadcast_to(scores, ranked.shape), ranked, axis=1).statistic

    return _with_each(scores, people, correlate)


def spearman(scores: np.ndarray, people: np.ndarray) -> np.ndarray:
    """Spearman's ρ (``scipy.stats.spearmanr``) of scores (T,) with each of U people (U, T): (U,) in -1–1.

    0 where it is not defined, as in ``kendall``.

    >>> spearman(np.array([1.0, 2.0, 3.0]), np.array([[1, 3, 2], [5, 5, 5]])).tolist()
    [0.5, 0.0]
    """
    stats = _stats()

    def correlate(ranked: np.ndarray) -> np.ndarray:
        # twice, because scipy gives a matrix only from three rows on
        return stats.spearmanr(np.vstack([scores, scores, ranked]), axis=1).statistic[0, 2:]

    return _with_each(scores, people, correlate)


def judgements(video: Annotation) -> np.ndarray:
    """What U people thought of the sampled frames, (U, T) float64: their scores, or where there are none their choice.

    Raises:
        ValueError: nobody said anything, of other frames than the video has, or something that is not finite.
    """
    said = video.user_summary if video.user_scores is None else video.user_scores
    if said is None or not len(said):
        raise ValueError("user_scores and user_summary are both empty; at least one person must have scored or chosen")
    if said.shape[1:] != (video.n_frames,):
        raise ValueError(f"annotations of shape {said.shape} must be (people, {video.n_frames}), one column a frame")
    people = said[:, video.picks].astype(np.float64)
    if not np.isfinite(people).all():
        raise ValueError("user_scores must be finite")
    return people


def correlations(scores: np.ndarray, video: Annotation) -> dict[str, float]:
    """``tau``, ``rho`` with each person, averaged over people; ``tau_of_mean``, ``rho_of_mean`` with their mean.

    Both at the sampled frames. Of people who only chose, each is 0 or 1 a frame, and the mean is the share of people
    who chose it. A person who gave every frame the same counts as 0 in the average.

    Args:
        scores: (T,), one a pick of the video.
        video: with what people said.

    Raises:
        ValueError: see ``step_scores`` and ``judgements``.
    """
    return compared(step_scores(scores, video), judgements(video))


def compared(scores: np.ndarray, people: np.ndarray) -> dict[str, float]:
    """``correlations`` of scores (T,) with what U people thought (U, T)."""
    mean = people.mean(axis=0, keepdims=True)
    return {
        "tau": float(kendall(scores, people).mean()),
        "rho": float(spearman(scores, people).mean()),
        "tau_of_mean": float(kendall(scores, mean)[0]),
        "rho_of_mean": float(spearman(scores, mean)[0]),
    }


def _with_each(scores: np.ndarray, people: np.ndarray, correlate: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """0 for those with whom a correlation is not defined, so that scipy never sees a constant."""
    found = np.zeros(len(people))
    defined = np.ptp(people, axis=1) > 0
    if np.ptp(scores) > 0 and defined.any():
        found[defined] = correlate(people[defined])
    return found


def _stats() -> ModuleType:
    try:
        from scipy import stats
    except ImportError:
        raise UserError("correlations need scipy: pip install mmtasks[video]") from None
    return stats
