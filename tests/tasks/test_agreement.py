"""What model, data and processes do not have for each other is said before the first step."""

from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.strategies import ModelParallelStrategy, SingleDeviceStrategy, Strategy

from mmtasks.data.base import TaskData
from mmtasks.errors import UserError
from mmtasks.losses.weighting import EqualGradients
from mmtasks.tasks.base import TaskModule
from tests.small import small_backbone, small_objective

MEASURING = [{"weighting": EqualGradients()}, {"log_conflict_every": 1}]


def set_up(task: TaskModule, data: TaskData | None = None, strategy: Strategy | None = None) -> None:
    """As a trainer does before it makes the weights."""
    task._trainer = SimpleNamespace(datamodule=data, strategy=strategy or SingleDeviceStrategy())
    task.setup("fit")


def two(**options: Any) -> TaskModule:
    """Two objectives."""
    return TaskModule(small_backbone(), {"a": small_objective(), "b": small_objective()}, **options)


@pytest.mark.parametrize("options", MEASURING, ids=["weighting", "conflict"])
def test_divided_weights_cannot_be_measured(options: dict[str, Any]) -> None:
    set_up(two(**options))
    set_up(two(), strategy=ModelParallelStrategy())
    with pytest.raises(UserError, match=r"^(EqualGradients|log_conflict_every) measures .* take ddp\.yaml"):
        set_up(two(**options), strategy=ModelParallelStrategy())
