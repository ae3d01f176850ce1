"""From tokens to one vector."""

import torch
from torch import Tensor, nn

from mmtasks.layers import masked_max, masked_mean
from mmtasks.types import Tokens

KINDS = ("mean", "max", "attention")


class Pool(nn.Module):
    """Pool tokens to one vector: mean, max, or attention with one learned weighting per slice of the features.

    >>> Pool(8, "attention")(Tokens(torch.zeros(2, 3, 8), torch.ones(2, 3, dtype=torch.bool))).shape
    torch.Size([2, 8])
    """

    def __init__(self, dim: int, kind: str, *, num_heads: int = 4) -> None:
        super().__init__()
        if kind not in KINDS:
            raise ValueError(f"pool must be one of {', '.join(KINDS)}, got {kind!r}")
        self.kind = kind
        if kind == "attention":
            self.num_heads = num_heads
            self.score = nn.Sequential(nn.Linear(dim, dim // 4), nn.GELU(), nn.Linear(dim // 4, num_heads))

    def forward(self, tokens: Tokens) -> Tensor:
        """Tokens (B, N, D) -> (B, D); zeros where nothing is real."""
        if self.kind == "mean":
            return masked_mean(*tokens)
        if self.kind == "max":
            return masked_max(*tokens)
        x, mask = tokens
        scores = self.score(x)
        scores = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(scores.dtype).min)
        weights = scores.softmax(dim=1) * mask.any(dim=1)[:, None, None]  # [B, N, H]
        return torch.einsum("bnh,bnhd->bhd", weights, x.unflatten(-1, (self.num_heads, -1))).flatten(1)
