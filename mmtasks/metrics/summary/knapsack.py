"""The most valuable things that fit."""

import numpy as np

TICKS = 32_768
"""Parts into which a budget of time is divided: of three minutes each is 6 ms, and it is as quick as so many frames."""


def knapsack_of_time(values: np.ndarray, lengths: np.ndarray, budget: float) -> np.ndarray:
    """The same of lengths and a budget that are no whole numbers, which are rounded to parts of the budget.

    What is chosen is never longer than the budget, but for half of such a part.

    Args:
        values: (N,) finite.
        lengths: (N,) above 0.
        budget: above 0, in the unit of the lengths.

    Returns:
        (K,) int64, indices of the chosen items in order.

    >>> knapsack_of_time(np.array([6.0, 10.0, 12.0]), np.array([0.1, 0.25, 0.3]), 0.56).tolist()
    [1, 2]
    """
    tick = budget / TICKS
    ticks = np.minimum(np.maximum(np.round(lengths / tick), 1), 2 * TICKS).astype(np.int64)
    most = np.searchsorted(np.cumsum(np.sort(lengths)), budget, side="right")
    room = TICKS + int(most) // 2 + 1  # so many items that just fit may all have been rounded up
    while True:
        chosen = knapsack(values, ticks, room)
        over = float(lengths[chosen].sum()) - budget
        if over <= tick / 2:
            return chosen
        room = max(0, room - int(np.ceil(over / tick)))


def knapsack(values: np.ndarray, lengths: np.ndarray, budget: int) -> np.ndarray:
    """Which of N items have the largest sum of values among all sets at most ``budget`` long, exactly.

    Dynamic programming over the items, all budgets at once: N · budget steps, and N · budget bits to trace the choice
    back. Items without value are never chosen; of sets worth the same, the one whose items come earlier.

    Args:
        values: (N,) finite.
        lengths: (N,) integers above 0.
        budget: integer of at least 0, in the unit of the lengths.

    Returns:
        (K,) int64, indices of the chosen items in order.

    Raises:
        ValueError: an argument that is none of that.

    >>> knapsack(np.array([6.0, 10.0, 12.0]), np.array([1, 2, 3]), 5).tolist()
    [1, 2]
    """
    values, lengths = np.asarray(values, dtype=np.float64), np.asarray(lengths)
    _check(values, lengths, budget)
    items = np.flatnonzero((values > 0) & (lengths <= budget))
    if lengths[items].sum() <= budget:
        return items
    best = np.zeros(budget + 1)  # (C + 1,): the largest value within each budget, of the items so far
    taken = np.empty((len(items), budget // 8 + 1), dtype=np.uint8)
    for row, item in enumerate(items):
        length = lengths[item]
        with_it = best[:-length] + values[item]
        better = np.zeros(budget + 1, dtype=bool)
        np.greater(with_it, best[length:], out=better[length:])
        np.maximum(with_it, best[length:], out=best[length:])
        taken[row] = np.packbits(better)
    return items[_trace(taken, lengths[items], budget)]


def _trace(taken: np.ndarray, lengths: np.ndarray, budget: int) -> np.ndarray:
    """Rows of the chosen items, from the last decision to the first; taken: (N, (C + 1) bits)."""
    chosen = []
    for row in range(len(taken) - 1, -1, -1):
        if taken[row, budget >> 3] >> (7 - (budget & 7)) & 1:
            chosen.append(row)
            budget -= lengths[row]
    return np.array(chosen[::-1], dtype=np.int64)


def _check(values: np.ndarray, lengths: np.ndarray, budget: int) -> None:
    if values.ndim != 1 or values.shape != lengths.shape:
        raise ValueError(f"values {values.shape} and lengths {lengths.shape} must be alike and of one dimension")
    if not np.isfinite(values).all():
        raise ValueError("values must be finite")
    if not np.issubdtype(lengths.dtype, np.integer) or (lengths < 1).any():
        raise ValueError(f"lengths of type {lengths.dtype} must be integers of at least 1")
    if budget < 0:
        raise ValueError(f"budget {budget} must be at least 0")
