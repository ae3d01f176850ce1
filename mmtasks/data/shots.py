"""Where shots change: kernel temporal segmentation of a video's features (Potapov et al. 2014)."""

import math
from typing import NamedTuple

import numpy as np

BAND = 2**24
"""Costs of segments kept at once, 128 MB: it bounds a shot's length in videos of more than 4,096 steps."""
BLOCK = 256


class _Cut(NamedTuple):
    """Segments of a video: how many boundaries, the scatter within them, and the first step of each but the first."""

    boundaries: int
    scatter: float
    starts: list[int]


def change_points(
    features: np.ndarray, *, max_shots: int | None = None, longest: int | None = None, penalty: float = 1.0
) -> np.ndarray:
    """First and last step (S, 2) of each shot of features (T, D), in order, covering all steps.

    Chooses among all segmentations the one with the least scatter of the unit vectors within segments plus, for m
    boundaries, ``penalty * m / 2 * (log(T / m) + 1)``: the criterion of the authors' own code. The best m lies on the
    lower convex hull of the scatter, because the penalty is concave in m; so it is found by a few segmentations at a
    fixed price of a boundary, instead of one for every m. (Where ``max_shots`` binds, it is the best of these.)

    Args:
        features: numbers, one row a step.
        max_shots: no more shots than these; None for one for every two steps: the penalty hardly grows towards one
            shot a step, which has no scatter at all and so would win in a restless video.
        longest: no shot of more steps than these; None for no limit.
        penalty: the price of a boundary, above 0; twice as much gives fewer and longer shots.

    Beyond 4,096 steps a shot has at most ``2 ** 24 // T`` steps, 2,330 of an hour at 2 a second.

    >>> change_points(np.repeat(np.eye(3), [4, 2, 6], axis=0)).tolist()
    [[0, 3], [4, 5], [6, 11]]
    """
    features = np.asarray(features, dtype=np.float32)
    if features.ndim != 2 or 0 in features.shape:
        raise ValueError(f"features of shape {features.shape} must be (T, D) with at least one step")
    if not np.isfinite(features).all():
        raise ValueError("features has values that are not numbers")
    if max_shots is not None and max_shots < 1:
        raise ValueError(f"max_shots {max_shots} must be at least 1, or None")
    if longest is not None and longest < 1:
        raise ValueError(f"longest {longest} must be at least 1, or None")
    if penalty <= 0:
        raise ValueError(f"penalty {penalty} must be above 0")
    steps = len(features)
    starts = _best(_costs(features, longest), penalty, max(1, steps // 2) if max_shots is None else max_shots)
    return np.stack([[0, *starts], [*(start - 1 for start in starts), steps - 1]], axis=1).astype(np.int64)


def video_shots(features: np.ndarray, picks: np.ndarray, n_frames: int) -> np.ndarray:
    """Shots in frames (S, 2) of a video's features (T, D), none longer than a tenth of it.

    Without a limit a video of a single take is one shot, which no summary of 15 % can hold.
    """
    steps = len(features)
    return frame_shots(change_points(features, longest=-(-steps // 10)), picks, n_frames)


def frame_shots(shots: np.ndarray, picks: np.ndarray, n_frames: int) -> np.ndarray:
    """Shots in steps (S, 2) -> shots in frames (S, 2), covering 0 to ``n_frames - 1``: each begins at its first step.

    >>> frame_shots(np.array([[0, 1], [2, 3]]), np.array([0, 10, 20, 30]), 38).tolist()
    [[0, 19], [20, 37]]
    """
    starts = np.asarray(picks)[shots[:, 0]]
    starts[0] = 0
    return np.stack([starts, np.append(starts[1:] - 1, n_frames - 1)], axis=1).astype(np.int64)


def _costs(features: np.ndarray, longest: int | None) -> np.ndarray:
    """Scatter (T, L) of the segment that ends with step t and has l + 1 steps; infinite where it would begin before 0.

    The sum of the segment's kernel, which the scatter needs, grows from t - 1 to t by a row of the kernel.
    """
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    units = features / np.where(norms > 0, norms, 1)
    steps = len(units)
    longest = min(steps, max(1, BAND // steps), longest or steps)
    real = np.concatenate([[0], np.cumsum(norms[:, 0] > 0)])  # a step of zeros has no direction, and scatters nothing
    lengths = np.arange(1, longest + 1)
    costs = np.full((steps, longest), np.inf)
    within = np.zeros(longest)
    for first in range(0, steps, BLOCK):
        oldest = max(0, first - longest + 1)
        kernel = (units[first : first + BLOCK] @ units[oldest : first + BLOCK].T).astype(np.float64)
        for t, row in enumerate(kernel, start=first):
            count = min(t + 1, longest)
            latest = row[t - oldest + 1 - count : t - oldest + 1][::-1]  # K(t, t), K(t, t - 1), …
            within[1:count] = within[: count - 1]
            within[0] = 0
            within[:count] += 2 * np.cumsum(latest) - latest[0]
            own = real[t + 1] - real[t + 1 - count : t + 1][::-1]
            costs[t, :count] = np.maximum(own - within[:count] / lengths[:count], 0)
    return costs


def _cut(costs: np.ndarray, price: float) -> _Cut:
    """The segmentation of least scatter plus ``price`` for each boundary."""
    steps, longest = costs.shape
    best = np.zeros(steps + 1)
    best[0] = -price
    length = np.empty(steps, dtype=np.int64)
    for t in range(steps):
        count = min(t + 1, longest)
        total = best[t + 1 - count : t + 1][::-1] + costs[t, :count]
        length[t] = total.argmin()
        best[t + 1] = total[length[t]] + price
    starts, scatter, t = [], 0.0, steps - 1
    while t >= 0:
        scatter += costs[t, length[t]]
        t -= int(length[t]) + 1
        starts.append(t + 1)
    return _Cut(len(starts) - 1, scatter, starts[-2::-1])


def _best(costs: np.ndarray, penalty: float, max_shots: int) -> list[int]:
    """First steps of the shots but the first, of the segmentation with the least scatter and penalty."""
    steps = len(costs)
    numbers = np.arange(steps + 1)
    prices = penalty * numbers / 2 * (np.log(steps / np.maximum(numbers, 1)) + 1)
    few = _cut(costs, 2.0 * steps + 1)
    every = _Cut(steps - 1, 0.0, list(range(1, steps)))
    best, least = few, few.scatter + prices[few.boundaries]
    if every.boundaries < max_shots and prices[every.boundaries] < least:
        best, least = every, prices[every.boundaries]
    todo = [(few, math.inf, every, 0.0)]
    while todo:
        left, steep, right, flat = todo.pop()
        between = numbers[left.boundaries + 1 : min(right.boundaries, max_shots)]
        if not len(between):
            continue
        # no segmentation lies below the two lines that touch the hull here
        bound = right.scatter + flat * (right.boundaries - between)
        if steep < math.inf:
            bound = np.maximum(bound, left.scatter - steep * (between - left.boundaries))
        if (bound + prices[between]).min() >= least:
            continue
        slope = (left.scatter - right.scatter) / (right.boundaries - left.boundaries)
        cut = _cut(costs, slope)
        if not left.boundaries < cut.boundaries < right.boundaries:
            continue
        if cut.boundaries < max_shots and cut.scatter + prices[cut.boundaries] < least:
            best, least = cut, cut.scatter + prices[cut.boundaries]
        todo += [(left, steep, cut, slope), (cut, slope, right, flat)]
    return best.starts
