"""Joint fusion: one transformer over all modalities' tokens side by side."""

import math

import torch
from torch import nn

from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.layers import Block
from mmtasks.types import Fused, Tokens


def check_transformer(num_layers: int, num_heads: int, mlp_ratio: float, dropout: float) -> None:
    """ValueError naming the first argument out of range."""
    for name, value in (("num_layers", num_layers), ("num_heads", num_heads)):
        if value < 1:
            raise ValueError(f"{name} must be >= 1, got {value}")
    if not 0 < mlp_ratio < math.inf:
        raise ValueError(f"mlp_ratio must be > 0 and finite, got {mlp_ratio}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout must be in [0, 1), got {dropout}")


class JointTransformer(Fusion):
    """Every token attends to every real token of every modality (Vaswani et al. 2017; pre-norm).

    Args:
        num_layers: transformer blocks; >= 1.
        num_heads: attention heads; must divide the width.
        mlp_ratio: feed-forward width over token width.
        dropout: in attention and on both residuals; in [0, 1).

    >>> fusion = JointTransformer(1, num_heads=2)
    >>> fusion.build(8)
    >>> mask = torch.ones(1, 3, dtype=torch.bool)
    >>> fusion({"text": Tokens(torch.zeros(1, 3, 8), mask), "image": Tokens(torch.zeros(1, 3, 8), mask)}).x.shape
    torch.Size([1, 6, 8])
    """

    def __init__(
        self, num_layers: int = 2, *, num_heads: int = 4, mlp_ratio: float = 4.0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        check_transformer(num_layers, num_heads, mlp_ratio, dropout)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout

    def build(self, dim: int) -> None:
        """Make the weights for tokens of width ``dim``, a multiple of ``num_heads`` (else ValueError)."""
        self.blocks = nn.ModuleList(
            Block(dim, self.num_heads, mlp_ratio=self.mlp_ratio, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, D) of each modality -> Fused (B, N, D); attention (B, N, N) of the last layer if asked.

        A real token's row of attention sums to 1.
        """
        x, mask, spans, _ = concatenate(tokens)
        real = mask.unsqueeze(-1)
        x = x.masked_fill(~real, 0)
        weights: torch.Tensor | None = None
        for depth, block in enumerate(self.blocks, start=1):
            x, weights = block(x, mask, need_weights=need_weights and depth == self.num_layers)
        attention = None if weights is None else weights * real
        return Fused(self.norm(x).masked_fill(~real, 0), mask, spans, attention)
