"""Batch norms of pretrained networks, which stay as they were pretrained: batches here are other ones."""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm


def freeze_batch_norms(module: nn.Module) -> None:
    """Their weights get no gradients."""
    for norm in _batch_norms(module):
        norm.requires_grad_(False)


def keep_statistics(module: nn.Module) -> None:
    """They go on with the statistics that they were pretrained with; for after each ``train``."""
    for norm in _batch_norms(module):
        norm.eval()


def _batch_norms(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if isinstance(m, _BatchNorm)]
