"""The knapsack is exact, and small enough for hours of video."""

import itertools
import tracemalloc

import numpy as np
import pytest

from mmtasks.metrics.summary import knapsack
from mmtasks.metrics.summary.knapsack import TICKS, knapsack_of_time


def _best_value(values: np.ndarray, lengths: np.ndarray, budget: int) -> float:
    sets = (np.array(chosen) for chosen in itertools.product([0, 1], repeat=len(values)))
    return max(float(chosen @ values) for chosen in sets if chosen @ lengths <= budget)


@pytest.mark.parametrize("seed", range(40))
def test_as_good_as_the_best_of_all_sets(seed: int) -> None:
    generator = np.random.default_rng(seed)
    number = int(generator.integers(1, 10))
    values = generator.integers(-2, 8, number) / 4 if seed % 2 else generator.normal(size=number)
    lengths = generator.integers(1, 12, number)
    budget = int(generator.integers(0, lengths.sum() + 2))
    chosen = knapsack(values, lengths, budget)
    assert lengths[chosen].sum() <= budget
    assert values[chosen].sum() == pytest.approx(_best_value(values, lengths, budget))
    assert (values[chosen] > 0).all()
    assert (np.diff(chosen) > 0).all()


@pytest.mark.parametrize("seed", range(20))
def test_time_is_divided_as_well_as_frames(seed: int) -> None:
    generator = np.random.default_rng(seed)
    values, lengths = generator.random(12), generator.uniform(0.03, 9, 12)
    budget = float(generator.uniform(0.5, lengths.sum()))
    chosen = knapsack_of_time(values, lengths, budget)
    assert lengths[chosen].sum() <= budget * (1 + 1 / TICKS)
    sets = np.array(list(itertools.product([0, 1], repeat=12)))
    fits = sets @ lengths <= budget * (1 - 12 / TICKS)
    assert values[chosen].sum() >= (sets[fits] @ values).max() - 1e-9


@pytest.mark.parametrize("count", [3, 7, 11, 150])
def test_items_that_fill_a_budget_of_time_all_fit(count: int) -> None:
    assert len(knapsack_of_time(np.ones(400), np.full(400, 9.009 / count), 9.009)) == count


def test_greedy_would_be_wrong() -> None:
    assert knapsack(np.array([0.9, 0.6, 0.6]), np.array([6, 5, 5]), 10).tolist() == [1, 2]


def test_of_sets_worth_the_same_the_earlier() -> None:
    assert knapsack(np.ones(5), np.full(5, 3), 7).tolist() == [0, 1]


def test_nothing_fits_and_all_fits() -> None:
    assert knapsack(np.ones(2), np.array([4, 5]), 3).tolist() == []
    assert knapsack(np.ones(2), np.array([4, 5]), 0).tolist() == []
    assert knapsack(np.ones(2), np.array([4, 5]), 9).tolist() == [0, 1]
    assert knapsack(np.ones(0), np.ones(0, dtype=int), 9).tolist() == []


def test_hours_of_video_in_little_memory() -> None:
    generator = np.random.default_rng(0)
    lengths = np.full(2000, 32)
    lengths[::2] += generator.integers(-9, 10, 1000)
    lengths[1::2] -= lengths[::2] - 32
    assert lengths.sum() == 64_000
    tracemalloc.start()
    chosen = knapsack(generator.random(2000), lengths, 9_600)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 9_500 < lengths[chosen].sum() <= 9_600
    assert peak < 8e6


@pytest.mark.parametrize(
    ("values", "lengths", "budget", "message"),
    [
        ([1.0], [1, 2], 3, "must be alike"),
        ([np.nan], [1], 3, "finite"),
        ([1.0], [0], 3, "at least 1"),
        ([1.0], [1.5], 3, "float64 must be integers"),
        ([1.0], [1], -1, "budget -1"),
    ],
)
def test_wrong_arguments_are_refused(values: list, lengths: list, budget: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        knapsack(np.array(values), np.array(lengths), budget)
