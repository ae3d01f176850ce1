"""What several processes must do together so that they equal one process with the whole batch."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.distributed.nn.functional import all_gather

from mmtasks.types import Tokens


def is_grouped() -> bool:
    """Whether this process has joined a process group, be it alone in it."""
    return dist.is_available() and dist.is_initialized()


def world_size() -> int:
    """Number of processes that train together; 1 without torch.distributed."""
    return dist.get_world_size() if is_grouped() else 1


def rank() -> int:
    """This process's number, from 0."""
    return dist.get_rank() if is_grouped() else 0


def gather(x: Tensor) -> Tensor:
    """Every process's (B, …), concatenated in rank order: (world * B, …). Gradients flow back to their owners.

    All processes must bring the same shape.
    """
    if world_size() == 1:
        return x
    if not x.requires_grad:
        parts = [torch.empty_like(x) for _ in range(world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)
    return torch.cat(all_gather(x.contiguous()))


def dealt(size: int, group: int = 1) -> Tensor:
    """Where gathered samples (world * size,) stand in the batch of one process: loaders deal samples out one by one.

    group: neighbours that are dealt together, as the captions of a picture.
    """
    order = torch.arange(world_size() * size).view(size // group, world_size(), group)
    return order.transpose(0, 1).flatten()


def gather_objects(value: Any) -> list[Any]:
    """Every process's value, in rank order; it must be picklable."""
    if world_size() == 1:
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


def gather_tokens(tokens: Tokens) -> Tokens:
    """Every process's tokens, padded to the longest: (B, N, D) -> (world * B, max N, D)."""
    if world_size() == 1:
        return tokens
    longest = torch.tensor(tokens.x.shape[1], device=tokens.x.device)
    dist.all_reduce(longest, op=dist.ReduceOp.MAX)
    extra = int(longest) - tokens.x.shape[1]
    x, mask = F.pad(tokens.x, (0, 0, 0, extra)), F.pad(tokens.mask, (0, extra))
    return Tokens(gather(x), gather(mask.to(torch.uint8)).bool())


def global_mean(total: Tensor, count: int | Tensor) -> Tensor:
    """A sum over this process's terms, normalised by the count over all processes.

    Multiplied by the number of processes, because DDP averages gradients: N processes then give the gradients of one.
    """
    everyone = torch.as_tensor(count, dtype=total.dtype, device=total.device).clone()
    if world_size() > 1:
        dist.all_reduce(everyone)
    return total * world_size() / everyone.clamp(min=1)
