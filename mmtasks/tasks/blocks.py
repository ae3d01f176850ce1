"""The repeated blocks of a model: what is recomputed, gathered or compiled as one."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import nn
from torch.utils.checkpoint import checkpoint

from mmtasks.encoders.conformer import ConformerBlock
from mmtasks.errors import UserError
from mmtasks.layers import Block

BLOCKS = (Block, ConformerBlock)
PRETRAINED = "GradientCheckpointingLayer"
"""What transformers' blocks are; by name, because its import takes seconds."""
LIMITS = ("recompile_limit", "accumulated_recompile_limit")
"""PyTorch's, for the whole process: of a function, and of all that it calls."""


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """Every block of a module that is trained."""
    for child in module.modules():
        known = isinstance(child, BLOCKS) or any(cls.__name__ == PRETRAINED for cls in type(child).__mro__)
        if known and any(weight.requires_grad for weight in child.parameters()):
            yield child


class ActivationCheckpointing(Callback):
    """Keep of each trained block its input alone, and compute the rest again in the backward pass (Chen et al. 2016).

    Less memory for about a third more time. The gradients are the same, those of dropout too.
    """

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once the weights are there."""
        for block in blocks(pl_module):
            _recompute(block)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the blocks back as they were."""
        for block in blocks(pl_module):
            del block.forward


class CompiledBlocks(Callback):
    """Compile each trained block by ``torch.compile``, for batches of any size and length.

    Blocks of one kind and width share what is compiled. Whole models are left alone: batches lack modalities, and each
    way would be compiled by itself. The weights keep their names, so that a checkpoint loads with and without.

    Args:
        versions: of a kind of block, how many are compiled before others run as they are: one for each width and each
            set of options, with masks and without.
        backend: of ``torch.compile``.
    """

    def __init__(self, *, versions: int = 64, backend: str = "inductor") -> None:
        if versions < 1:
            raise ValueError(f"versions {versions} must be at least 1")
        if backend not in torch.compiler.list_backends(exclude_tags=()):
            raise ValueError(f"backend {backend!r} is none of {', '.join(torch.compiler.list_backends())}")
        self.versions = versions
        self.backend = backend
        self._limits: dict[str, int] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Once the weights are there; compiling waits for the first batch.

        Raises:
            UserError: there is no compiler.
        """
        if self.backend == "inductor" and not any(map(shutil.which, (os.environ.get("CXX", "g++"), "clang++", "cl"))):
            raise UserError("compiled blocks need a C++ compiler: install g++ or clang, or leave out compile.yaml")
        limits = torch._dynamo.config
        self._limits = {name: getattr(limits, name) for name in LIMITS}
        for name, limit in self._limits.items():
            setattr(limits, name, max(limit, self.versions))
        for block in blocks(pl_module):
            block.compile(dynamic=True, backend=self.backend)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the blocks back as they were."""
        for block in blocks(pl_module):
            block._compiled_call_impl = None
        for name, limit in self._limits.items():
            setattr(torch._dynamo.config, name, limit)


def _recompute(block: nn.Module) -> None:
    """Not by a module around the block, which would give its weights other names."""
    forward = block.forward

    def recomputed(*args: Any, **options: Any) -> Any:
        return checkpoint(forward, *args, use_reentrant=False, **options)

    block.forward = recomputed  # type: ignore[method-assign]
