"""Convolution along each modality's own tokens, to stand before a fusion in ``Stacked``."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.types import Fused, Tokens


class Neighbours(Fusion):
    """Every token reads those before and after it in its own modality, and none of another.

    For tokens in the order of time from an encoder that is not trained: attention alone would first have to find out
    which of them are near. The weights are the same for all modalities.

    Args:
        num_layers: convolutions, each residual with a norm after it; >= 1.
        modalities: those whose tokens it reads, the others pass as they are; None for all.
        kernel: tokens that one sees; odd.
        dropout: on what a convolution adds; in [0, 1).

    >>> import torch
    >>> from mmtasks.fusion.stacked import Stacked
    >>> from mmtasks.fusion.transformer import JointTransformer
    >>> fusion = Stacked([Neighbours(1, kernel=3), JointTransformer(1, num_heads=2)])
    >>> fusion.build(8)
    >>> mask = torch.ones(1, 3, dtype=torch.bool)
    >>> fusion({"audio": Tokens(torch.zeros(1, 3, 8), mask), "video": Tokens(torch.zeros(1, 3, 8), mask)}).x.shape
    torch.Size([1, 6, 8])
    """

    def __init__(
        self, num_layers: int = 2, *, modalities: list[str] | None = None, kernel: int = 5, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if num_layers < 1:
            raise ValueError(f"num_layers must be >= 1, got {num_layers}")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel must be odd and >= 1, got {kernel}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        self.num_layers = num_layers
        self.modalities = modalities
        self.kernel = kernel
        self.dropout = dropout

    def build(self, dim: int) -> None:
        """Make the weights for tokens of width ``dim``."""
        padding = self.kernel // 2
        self.layers = nn.ModuleList(nn.Conv1d(dim, dim, self.kernel, padding=padding) for _ in range(self.num_layers))
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for _ in range(self.num_layers))
        self.drop = nn.Dropout(self.dropout)

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, D) of each modality -> Fused (B, N, D); the attention (B, N, N), if asked for, is zeros."""
        x, mask, spans, _ = concatenate({name: self._of(name, value) for name, value in tokens.items()})
        attention = x.new_zeros(*mask.shape, mask.shape[1]) if need_weights else None
        return Fused(x, mask, spans, attention)

    def _of(self, name: str, tokens: Tokens) -> Tokens:
        """Tokens (B, N, D) of a modality that have read each other, if they are to; zeros where nothing is real."""
        x, mask = tokens
        to_read = self.modalities is None or name in self.modalities
        return Tokens(self._read(x, mask) if to_read else x.masked_fill(~mask.unsqueeze(-1), 0), mask)

    def _read(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, N, D), mask (B, N) -> (B, N, D), zeros where nothing is real."""
        real = mask.unsqueeze(-1)
        x = x.masked_fill(~real, 0)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            read = F.gelu(layer(x.transpose(1, 2)).transpose(1, 2))
            x = norm(x + self.drop(read)).masked_fill(~real, 0)
        return x
