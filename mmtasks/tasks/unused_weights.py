"""Steps that leave out some of several tasks, and with them some weights: whether processes can train together then."""

from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy

from mmtasks.data.base import TaskData
from mmtasks.data.joint import JointDataModule
from mmtasks.errors import UserError

OVERLAY = "configs/overlays/ddp_one_task.yaml"


def leaves_out_tasks(data: TaskData) -> bool:
    """Whether a training step may be without some of the tasks."""
    return isinstance(data, JointDataModule) and len(data.tasks) > 1 and data.sampling.partial


def check_strategy(trainer: Trainer, data: TaskData) -> None:
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
