"""What every fusion is: tokens of several modalities in, tokens that have read each other out."""

import torch
from torch import nn

from mmtasks.types import Fused, Tokens


class Fusion(nn.Module):
    """Base class. Constructors store their arguments under the same names; ``build`` makes the weights.

    ``modalities``: the names of the only ones that it reads, which must have encoders; None for all.
    """

    modalities: list[str] | None = None

    def build(self, dim: int) -> None:
        """Make the weights for tokens of width ``dim``."""
        raise NotImplementedError(f"{type(self).__name__}.build")

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, dim) of each modality -> Fused (B, sum of N_m, dim), modalities in sorted-name order."""
        raise NotImplementedError(f"{type(self).__name__}.forward")


def concatenate(tokens: dict[str, Tokens]) -> Fused:
    """Lay the modalities side by side in the order of their names: (B, N_m, D) each -> (B, sum of N_m, D)."""
    names = sorted(tokens)
    spans, start = {}, 0
    for name in names:
        stop = start + tokens[name].x.shape[1]
        spans[name] = slice(start, stop)
        start = stop
    x = torch.cat([tokens[name].x for name in names], dim=1)
    mask = torch.cat([tokens[name].mask for name in names], dim=1)
    return Fused(x, mask, spans)
