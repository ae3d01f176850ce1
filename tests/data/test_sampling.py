"""Which tasks a step takes."""

import math
from collections import Counter

import pytest
import torch

from mmtasks.data.sampling import EveryTask, OneTask
from mmtasks.errors import UserError

SIZES = {"large": 80, "small": 20}


def shares(sampling: OneTask, steps: int = 4000) -> dict[str, float]:
    drawn = sampling.draw(SIZES, steps, torch.Generator().manual_seed(0))
    assert {len(names) for names in drawn} == {1}
    return {name: count / steps for name, count in Counter(name for [name] in drawn).items()}


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (OneTask(), 0.8),
        (OneTask(math.inf), 0.5),
        (OneTask(2.0), 2 / 3),
        (OneTask(0.02), 1.0),
        (OneTask(weights={"large": 1, "small": 9}), 0.1),
    ],
    ids=["size", "evenly", "temperature", "largest", "weights"],
)
def test_one_task_is_drawn_in_its_share(sampling: OneTask, expected: float) -> None:
    assert shares(sampling)["large"] == pytest.approx(expected, abs=0.03)


def test_an_epoch_is_a_pass_over_the_longest_task_or_over_all() -> None:
    assert EveryTask().steps(SIZES) == 80
    assert OneTask().steps(SIZES) == 100


def test_every_task_is_in_every_step() -> None:
    assert EveryTask().draw(SIZES, 3, torch.Generator()) == [["large", "small"]] * 3


@pytest.mark.parametrize(
    "options",
    [
        {"temperature": 0.0},
        {"weights": {"a": -1.0}},
        {"weights": {"a": 0.0}},
        {"weights": {"a": math.nan}},
        {"weights": {"a": math.inf}},
    ],
)
def test_bad_shares_are_named(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        OneTask(**options)


def test_weights_of_other_tasks_are_named() -> None:
    with pytest.raises(UserError, match="weights of large; the tasks are large, small"):
        OneTask(weights={"large": 1.0}).draw(SIZES, 1, torch.Generator())


@pytest.mark.parametrize("temperature", [1.0, 2.0, math.inf])
def test_shares_are_powers_of_sizes(temperature: float) -> None:
    powers = torch.tensor([80.0, 20.0]) ** (1 / temperature)
    torch.testing.assert_close(OneTask(temperature)._shares(SIZES), powers / powers.sum())
