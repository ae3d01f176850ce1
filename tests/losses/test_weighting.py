"""How much each task counts."""

import math

import pytest
import torch
from torch import nn

from mmtasks.errors import UserError
from mmtasks.losses.gradients import cosines, shared_gradients
from mmtasks.losses.weighting import EqualGradients, FixedWeights, UncertaintyWeights, Weighting


def shared() -> nn.Parameter:
    return nn.Parameter(torch.tensor([1.0, 2.0]))


def test_gradients_are_those_of_each_loss_and_leave_no_trace() -> None:
    weight, unused = shared(), nn.Parameter(torch.ones(1))
    found = shared_gradients({"a": 3 * weight.sum(), "b": (weight**2).sum()}, [weight, unused])
    assert found["a"].tolist() == [3, 3, 0]
    assert found["b"].tolist() == [2, 4, 0]
    assert weight.grad is None


def test_opposite_tasks_conflict() -> None:
    weight = shared()
    found = cosines(shared_gradients({"a": weight.sum(), "b": -weight.sum(), "c": weight[0] - weight[1]}, [weight]))
    assert found["a|b"] == pytest.approx(-1)
    assert found["a|c"] == found["b|c"] == pytest.approx(0)


def test_equal_gradients_make_every_gradient_equally_long() -> None:
    weight = shared()
    weighting = EqualGradients(every=1)
    weighting.build(["a", "b"])
    weighted = weighting({"a": 100 * weight[0], "b": 0.01 * weight[1]}, [weight])
    lengths = [gradient.norm() for gradient in shared_gradients(weighted, [weight]).values()]
    assert lengths[0].item() == pytest.approx(lengths[1].item(), rel=1e-4)
    assert lengths[0].item() == pytest.approx(1.0, rel=1e-4)  # the geometric mean of 100 and 0.01


def test_equal_gradients_measure_each_task_every_so_many_of_its_own_steps() -> None:
    weight = shared()
    weighting = EqualGradients(every=2, momentum=0.0)
    weighting.build(["a", "b"])
    lengths = []
    for factor in (1.0, 2.0, 3.0):
        weighting({"a": factor * weight[0]}, [weight])
        lengths.append(weighting.lengths.tolist())
    assert lengths == [[1, 0], [1, 0], [3, 0]]


def test_equal_gradients_measure_nothing_in_evaluation() -> None:
    weight = shared()
    weighting = EqualGradients()
    weighting.build(["a"])
    weighting.eval()({"a": weight.sum()}, [weight])
    assert weighting.lengths.tolist() == [0]


def test_uncertainty_learns_to_trust_a_small_loss_more() -> None:
    weighting = UncertaintyWeights()
    weighting.build(["large", "small"])
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.1)
    losses = {"large": torch.tensor(4.0), "small": torch.tensor(0.25)}
    for _ in range(200):
        optimizer.zero_grad()
        sum(weighting(losses, []).values()).backward()
        optimizer.step()
    factor = {name: (-value).exp().item() for name, value in weighting.log_variance.items()}
    assert factor["large"] == pytest.approx(1 / 4, rel=0.05)
    assert factor["small"] == pytest.approx(1 / 0.25, rel=0.05)


def test_a_weight_of_no_task_is_named() -> None:
    with pytest.raises(UserError, match="'c'; the tasks are a, b"):
        FixedWeights({"c": 1.0}).build(["a", "b"])


@pytest.mark.parametrize("weight", [-1.0, math.inf, math.nan])
def test_a_weight_that_is_no_weight_is_refused(weight: float) -> None:
    with pytest.raises(ValueError, match="must be finite and at least 0"):
        FixedWeights({"a": weight})


@pytest.mark.parametrize("options", [{"every": 0}, {"momentum": 1.0}])
def test_bad_arguments_are_named(options: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        EqualGradients(**options)


@pytest.mark.parametrize("weighting", [FixedWeights(), UncertaintyWeights(), EqualGradients()])
def test_a_step_may_bring_some_tasks_only(weighting: Weighting) -> None:
    weighting.build(["a", "b"])
    assert list(weighting({"b": shared().sum()}, [shared()])) == ["b"]
