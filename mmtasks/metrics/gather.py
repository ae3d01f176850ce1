"""What processes with other numbers of samples found, as one."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from mmtasks.distributed import gather_objects


def gather_uneven(x: Tensor, group: Any = None) -> list[Tensor]:
    """Every process's (B_i, …), in rank order, without gradients; those with B_i = 0 need not know shape and type.

    group: of processes; None for all. To be given to a metric as ``dist_sync_fn``.
    """
    if x.ndim == 0:
        return gather_all_tensors(x, group)
    kinds = gather_objects((len(x), tuple(x.shape[1:]), x.dtype))
    if not len(x):
        _, shape, dtype = max(kinds, key=lambda kind: kind[0])
        x = torch.empty((0, *shape), dtype=dtype, device=x.device)
    return gather_all_tensors(x, group)
