"""What the benchmarks for GPUs count, tried on the CPU."""

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from benchmarks import gpu
from mmtasks.types import Batch

BATCH = Batch({}, {}, ["a", "b"])


class Product(nn.Module):
    """One matrix product, (2, 3) by (3, 4): 48 operations forward, and as many for the gradient of the weight."""

    def __init__(self) -> None:
        super().__init__()
        self.objectives = nn.ModuleDict({"product": nn.Identity()})
        self.weight = nn.Parameter(torch.ones(3, 4))

    def losses(self, batch: Any) -> torch.Tensor:
        return torch.ones(2, 3) @ self.weight

    def total(self, losses: torch.Tensor) -> torch.Tensor:
        return losses.sum()


def test_steps_are_timed_and_operations_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [(10.0 * step + 1, 10.0 * step + 4, 10.0 * step + 4) for step in range(4)]  # begun, done, noted
    clock = iter([0.0, *itertools.chain(*times)])
    monkeypatch.setattr(gpu, "perf_counter", lambda: next(clock))
    meter, model = gpu.Meter(), Product()
    trainer = SimpleNamespace(
        precision_plugin=SimpleNamespace(forward_context=lambda: torch.autocast("cpu", enabled=False))
    )
    meter.on_train_start(trainer, model)
    for step in range(4):
        meter.on_train_batch_start(trainer, model, BATCH, step)
        meter.on_train_batch_end(trainer, model, None, BATCH, step)
    meter.on_train_end(trainer, model)
    assert meter.steps["product"][0] == gpu.Step(2, 1.0, 3.0)
    assert meter.settled("product") == [gpu.Step(2, 7.0, 3.0)] * 2
    assert meter.rates == {"product": pytest.approx(96 / 3)}
    monkeypatch.setattr(gpu, "product_rate", lambda: 320.0)
    found = gpu.figures(meter)
    assert found["parameters"] == 12 and found["product_samples_per_second"] == pytest.approx(0.2)
    assert found["product_waiting_share"] == found["waiting_share"] == pytest.approx(0.7)
    assert found["product_share_of_product"] == pytest.approx(0.1)


def test_a_batch_of_joint_training_is_named() -> None:
    model = Product()
    assert list(gpu.by_task(model, BATCH)) == [("product", BATCH)]
    assert list(gpu.by_task(model, {"one": BATCH, "other": BATCH})) == [("one", BATCH), ("other", BATCH)]
