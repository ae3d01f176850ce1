"""What model, data and processes do not have for each other is said before the first step."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch.strategies import ModelParallelStrategy, SingleDeviceStrategy, Strategy

from mmtasks.data.base import TaskData
from mmtasks.data.joint import JointDataModule
from mmtasks.data.sampling import EveryTask, OneTask
from mmtasks.errors import UserError
from mmtasks.losses.weighting import EqualGradients
from mmtasks.tasks.agreement import check_started
from mmtasks.tasks.base import TaskModule
from tests.small import FACTS, small_backbone, small_batch, small_objective

MEASURING = [{"weighting": EqualGradients()}, {"log_conflict_every": 1}]


JOINT = {"a": TaskData(), "b": TaskData()}


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


@pytest.mark.parametrize("options", MEASURING, ids=["weighting", "conflict"])
def test_without_a_fusion_there_is_nothing_to_measure(options: dict[str, Any]) -> None:
    task = two(**options)
    task.build(FACTS)
    task.backbone.fusion = None
    with pytest.raises(UserError, match="measures gradients on the fusion: give backbone.fusion a class"):
        task.build(FACTS)


def test_a_conflict_needs_two_tasks_in_a_step() -> None:
    set_up(two(log_conflict_every=1), JointDataModule(JOINT, sampling=EveryTask()))
    set_up(two(), JointDataModule(JOINT, sampling=OneTask()))
    with pytest.raises(UserError, match="compares the tasks of a step, and OneTask brings one"):
        set_up(two(log_conflict_every=1), JointDataModule(JOINT, sampling=OneTask()))
    with pytest.raises(UserError, match="and a is the only one"):
        set_up(TaskModule(small_backbone(), {"a": small_objective()}, log_conflict_every=1))


def test_a_step_of_one_task_measures_no_conflict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a sampling that brings now one and now several."""
    measured = []
    monkeypatch.setattr("mmtasks.tasks.base.shared_gradients", lambda losses, _: measured.append(list(losses)) or {})
    task = two(log_conflict_every=1)
    task.build(FACTS)
    task._trainer = SimpleNamespace(global_step=1, log_every_n_steps=2)
    task.log_dict = lambda *_, **__: None
    for names in ("a", "ab"):
        task.training_step({name: small_batch() for name in names}, 0)
    assert measured == [["a", "b"]]


TORCHRUN = {"TORCHELASTIC_RUN_ID": "x", "WORLD_SIZE": "4"}


@pytest.mark.parametrize(
    ("environ", "world", "alone"),
    [
        (TORCHRUN, 1, True),
        (TORCHRUN, 4, False),
        ({"WORLD_SIZE": "4"}, 1, False),
        ({"SLURM_STEP_NUM_TASKS": "2"}, 1, True),
        ({"SLURM_STEP_NUM_TASKS": "2"}, 2, False),
        ({"SLURM_NTASKS": "2"}, 1, False),  # a batch script that starts one process by itself
        ({}, 1, False),
    ],
)
def test_processes_that_would_train_alone_are_noticed(environ: dict[str, str], world: int, alone: bool) -> None:
    trainer = SimpleNamespace(world_size=world)
    with pytest.raises(UserError, match="set --trainer.devices") if alone else nullcontext():
        check_started(trainer, environ)


@pytest.mark.parametrize("tasks", ["a", "abc", "ac"])
def test_objectives_and_tasks_of_other_names_are_named(tasks: str) -> None:
    set_up(two(), JointDataModule(JOINT))
    with pytest.raises(UserError, match=f"objectives a, b, the data tasks {', '.join(tasks)}: give both the same"):
        set_up(two(), JointDataModule({name: TaskData() for name in tasks}))
