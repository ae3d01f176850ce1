"""The rows without which a table of summaries says nothing: chance, no choice at all, and people themselves."""

from collections.abc import Iterable, Sequence

import numpy as np

from mmtasks.metrics.summary.correlations import compared, judgements, kendall, spearman
from mmtasks.metrics.summary.figures import average, figures, overlap
from mmtasks.metrics.summary.selection import RATIO, check_ratio, check_worth, evenly_spaced
from mmtasks.types import Annotation


def controls(
    annotations: Sequence[Annotation], *, seed: int = 0, draws: int = 20, ratio: float = RATIO, worth: str = "mean"
) -> dict[str, dict[str, float]]:
    """Rows ``random``, ``uniform`` and ``humans`` over the same videos as a model's, under the names of ``FIGURES``.

    - ``random``: independent scores of a uniform distribution for each step, averaged over draws.
    - ``uniform``: every step alike. Correlations are 0 by definition; the summary is pieces evenly spaced.
    - ``humans``: each person in the place of the model. ``tau``, ``rho``: every pair of people, averaged over pairs
      (on TVSum 0.177, 0.204 in Otani et al. 2019); ``tau_of_mean``, ``rho_of_mean``: each with the mean of the others;
      ``f_mean``, ``f_max``: each person's summary with those of the others. Videos of one person are left out.

    Args:
        annotations: of the videos.
        seed: of the random scores.
        draws: random scores of each video, at least 1.
        ratio: share of a video that a summary may last; people's summaries are as long as they made them.
        worth: what a shot counts for in random summaries, ``mean`` or ``sum``, see ``select``.

    Raises:
        ValueError: draws, ratio or worth that are not allowed, or annotations that do not fit their video.
    """
    check_ratio(ratio)
    check_worth(worth)
    if draws < 1:
        raise ValueError(f"draws {draws} must be at least 1")
    drawn = [np.random.default_rng([seed, i]).random((draws, len(video.picks))) for i, video in enumerate(annotations)]
    return {
        "random": average(
            average(figures(scores, video, ratio=ratio, worth=worth) for scores in of_video)
            for of_video, video in zip(drawn, annotations, strict=True)
        ),
        "uniform": average(_uniform(video, ratio) for video in annotations),
        "humans": average(_humans(video) for video in annotations),
    }


def _uniform(video: Annotation, ratio: float) -> dict[str, float]:
    found = compared(np.zeros(len(video.picks)), judgements(video))
    if video.user_summary is not None:
        found |= overlap(evenly_spaced(video, ratio=ratio), video.user_summary)
    return found


def _humans(video: Annotation) -> dict[str, float]:
    people = judgements(video)
    found = _agreement(people) if len(people) > 1 else {}
    summaries = video.user_summary
    if summaries is not None and len(summaries) > 1:
        found |= average(overlap(one, others) for one, others in _each_and_others(summaries))
    return found


def _agreement(people: np.ndarray) -> dict[str, float]:
    """The correlations of a person with the others, people (U, T). Pairs are symmetric: each is computed once."""
    pairs = [(people[i], people[i + 1 :]) for i in range(len(people) - 1)]
    means = [(one, others.mean(axis=0, keepdims=True)) for one, others in _each_and_others(people)]
    return {
        "tau": float(np.concatenate([kendall(*pair) for pair in pairs]).mean()),
        "rho": float(np.concatenate([spearman(*pair) for pair in pairs]).mean()),
        "tau_of_mean": float(np.mean([kendall(*pair) for pair in means])),
        "rho_of_mean": float(np.mean([spearman(*pair) for pair in means])),
    }


def _each_and_others(people: np.ndarray) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    return ((person, np.delete(people, i, axis=0)) for i, person in enumerate(people))
