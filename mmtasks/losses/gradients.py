"""What each task asks of the weights that tasks share."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.distributed import world_size


def shared_gradients(losses: Mapping[str, Tensor], shared: Sequence[nn.Parameter]) -> dict[str, Tensor]:
    """The gradient (P,) of each loss on the shared weights, the mean over all processes; leaves ``.grad`` alone."""
    return {name: _gradient(loss, shared) for name, loss in losses.items()}


def cosines(gradients: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of each pair of tasks, as ``A|B``; below 0 where a step for one is a step against the other (Yu et al. 2020).

    >>> cosines({"a": torch.tensor([1.0, 0.0]), "b": torch.tensor([-2.0, 0.0])})
    {'a|b': tensor(-1.)}
    """
    return {f"{a}|{b}": F.cosine_similarity(gradients[a], gradients[b], dim=0) for a, b in combinations(gradients, 2)}


def _gradient(loss: Tensor, shared: Sequence[nn.Parameter]) -> Tensor:
    parts = torch.autograd.grad(loss, shared, retain_graph=True, allow_unused=True)
    filled = (torch.zeros_like(weight) if part is None else part for part, weight in zip(parts, shared, strict=True))
    gradient = torch.cat([part.float().flatten() for part in filled])
    if world_size() > 1:
        dist.all_reduce(gradient)
        gradient /= world_size()
    return gradient
