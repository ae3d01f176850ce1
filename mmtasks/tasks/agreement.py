"""Whether a model and the run that trains it fit each other: what does not is said before the first step."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from torch import nn

from mmtasks.data.base import TaskData
from mmtasks.data.joint import JointDataModule
from mmtasks.data.sampling import OneTask
from mmtasks.errors import UserError

OVERLAY = "configs/overlays/ddp_one_task.yaml"


def check_tasks(objectives: Collection[str], data: TaskData | None) -> None:
    """Each objective has a task in the data of joint training, and each task an objective.

    Raises:
        UserError: one is without the other; it would never be trained.
    """
    if isinstance(data, JointDataModule) and set(objectives) != set(data.tasks):
        raise UserError(
            f"the model has objectives {', '.join(objectives)}, the data tasks {', '.join(data.tasks)}: give both the "
            f"same names"
        )


def check_strategy(measuring: list[str], strategy: Strategy) -> None:
    """Gradients on the fusion are measured in one process, so each must have all of its weights.

    Args:
        measuring: the options that have them measured.
        strategy: how processes train together.

    Raises:
        UserError: the weights are divided.
    """
    if measuring and isinstance(strategy, ModelParallelStrategy):
        raise UserError(
            f"{measuring[0]} measures gradients on whole weights, which FSDP2 divides: leave it out, or take ddp.yaml "
            f"instead of fsdp.yaml"
        )


def check_shared(measuring: list[str], shared: Sequence[nn.Parameter]) -> None:
    """There are gradients to measure: ``shared``, the trained weights of the fusion.

    Raises:
        UserError: there is none.
    """
    if measuring and not shared:
        raise UserError(
            f"{measuring[0]} measures gradients on the fusion: give backbone.fusion a class with trained weights, or "
            f"leave {measuring[0]} out"
        )


def check_conflict(objectives: Sequence[str], data: TaskData | None) -> None:
    """``log_conflict_every`` has tasks to compare: several in a step.

    Raises:
        UserError: a step has one.
    """
    if len(objectives) < 2:
        raise UserError(f"log_conflict_every compares objectives, and {objectives[0]} is the only one: leave it out")
    if isinstance(data, JointDataModule) and isinstance(data.sampling, OneTask):
        raise UserError(
            "log_conflict_every compares the tasks of a step, and OneTask brings one: leave it out, or set "
            "data.sampling to mmtasks.data.sampling.EveryTask"
        )


def leaves_out_tasks(data: TaskData) -> bool:
    """Whether a training step may be without some of the tasks."""
    return isinstance(data, JointDataModule) and len(data.tasks) > 1 and data.sampling.partial


def check_unused(trainer: Trainer, data: TaskData) -> None:
    """Complain of processes that would wait for gradients which a step does not have.

    Raises:
        UserError: several processes, steps that leave out tasks, and DDP that does not look for unused weights.
    """
    strategy = trainer.strategy
    looks = not isinstance(strategy, DDPStrategy) or strategy._ddp_kwargs.get("find_unused_parameters", False)
    if trainer.world_size > 1 and not looks and leaves_out_tasks(data):
        raise UserError(
            f"{trainer.world_size} processes, and steps that leave out tasks (data.sampling): DDP must look for the "
            f"weights that a step does not use; add --config {OVERLAY}"
        )


def check_started(trainer: Trainer, environ: Mapping[str, str]) -> None:
    """As many processes train together as were started by torchrun or srun: else each would train alone.

    Raises:
        UserError: there are more than the trainer knows of.
    """
    started = int(environ.get("WORLD_SIZE" if "TORCHELASTIC_RUN_ID" in environ else "SLURM_STEP_NUM_TASKS", 1))
    if started > trainer.world_size:
        raise UserError(
            f"{started} processes were started, the config is of {trainer.world_size}: set --trainer.devices to the "
            f"number on a machine, and --trainer.num_nodes to the number of machines"
        )


def check_workers(saved: Mapping[str, int], own: Mapping[str, int]) -> None:
    """A loader goes on only with as many workers as it had.

    Args:
        saved: of the loader of each task, as ``workers`` gave them.
        own: those of this run.

    Raises:
        UserError: one has another number.
    """
    for task in saved.keys() & own.keys():
        if saved[task] != own[task]:
            name = f"data.tasks.{task}.num_workers" if task else "data.num_workers"
            raise UserError(
                f"{name} is {own[task]}, in the checkpoint's run it was {saved[task]}: set it to {saved[task]} to go on"
            )


def workers(data: TaskData | None) -> dict[str, int]:
    """``num_workers`` of the data of each task, by name; of a single one by an empty name."""
    parts = data.tasks if isinstance(data, JointDataModule) else {"": data}
    return {name: part.num_workers for name, part in parts.items() if hasattr(part, "num_workers")}


def fitted_differently(saved: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Modalities that both prepare, but with another state fitted to data, as a vocabulary: weights may fit both.

    saved, own: as ``TaskData.describe_processors`` gives them.
    """
    return [name for name in sorted(saved.keys() & own.keys()) if saved[name]["state"] != own[name]["state"]]
