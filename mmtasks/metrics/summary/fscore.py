"""How much a summary overlaps with those that people made."""

import numpy as np


def f_scores(mask: np.ndarray, summaries: np.ndarray) -> np.ndarray:
    """F-score, the harmonic mean of precision and recall of frames, with each person's summary.

    Without a common frame it is 0, also where one or both chose nothing. Average them for ``f_mean`` (TVSum), take the
    largest for ``f_max`` (SumMe).

    Args:
        mask: (F,) bool, the chosen frames.
        summaries: (U, F) bool or 0/1, what each of U people chose.

    Returns:
        (U,) in 0–1.

    Raises:
        ValueError: other shapes, or nobody.

    >>> f_scores(np.array([1, 1, 0, 0]), np.array([[1, 0, 0, 0], [0, 0, 1, 1]])).round(2).tolist()
    [0.67, 0.0]
    """
    chosen, theirs = np.asarray(mask, dtype=bool), np.asarray(summaries, dtype=bool)
    if chosen.ndim != 1 or theirs.ndim != 2 or theirs.shape[1:] != chosen.shape or not len(theirs):
        raise ValueError(
            f"summaries {theirs.shape} must be of at least one person and of the frames of mask {chosen.shape}"
        )
    common = np.count_nonzero(theirs & chosen, axis=1)
    total = np.count_nonzero(chosen) + np.count_nonzero(theirs, axis=1)
    return 2 * common / np.maximum(total, 1)
