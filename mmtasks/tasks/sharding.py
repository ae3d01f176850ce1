"""What the processes that train a task share: under DDP the gradients, under FSDP2 the weights too."""

from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from torch import nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule, fully_shard, register_fsdp_forward_method
from torch.nn.parallel import DistributedDataParallel

from mmtasks.tasks.blocks import blocks

STEPS = ("training_step", "validation_step", "test_step")


def divide(module: nn.Module, strategy: Strategy) -> None:
    """Prepare a task whose weights are made for how its processes train together."""
    if isinstance(strategy, ModelParallelStrategy):
        shard(module, strategy.device_mesh)
    # All processes come to equal buffers by themselves. DDP would send the first one's before each batch, in evaluation
    # too, where processes have other numbers of batches.
    buffers = [name for name, _ in module.named_buffers()]
    DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(module, buffers)


def shard(module: nn.Module, mesh: DeviceMesh) -> None:
    """Divide the trained weights of a task among the processes of a mesh; each block is gathered when it is needed.

    FSDP2 (Zhao et al. 2023). Along a mesh's first dimension of two the weights are repeated, along the second divided.
    What is frozen stays whole in each process: its features are computed by each process alone.
    """
    frozen = {weight for weight in module.parameters() if not weight.requires_grad}
    for block in blocks(module):
        fully_shard(block, mesh=mesh, ignored_params=frozen)
    fully_shard(module, mesh=mesh, ignored_params=frozen)
    for step in STEPS:
        register_fsdp_forward_method(module, step)


def gather_weights(module: nn.Module) -> None:
    """Make every weight whole in each process, until ``divide_weights``; nothing to do where none is divided.

    For evaluation, where processes have other numbers of batches: one that gathers within a batch would wait for others
    that have none left.
    """
    for part in _sharded(module):
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()


def divide_weights(module: nn.Module) -> None:
    """The end of ``gather_weights``."""
    for part in _sharded(module):
        part.reshard()
        part.set_reshard_after_forward(part is not module, recurse=False)


def _sharded(module: nn.Module) -> list[FSDPModule]:
    return [part for part in module.modules() if isinstance(part, FSDPModule)]
