"""The Conformer's block (Gulati et al. 2020): attention for what is far, convolution for what is near."""

import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.layers import Attention


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, convolution, the other half; each residual, a norm at the end.

    attention_dropout: of the weights of attention; None for as much as elsewhere.
    """

    def __init__(
        self, dim: int, num_heads: int, kernel: int, *, dropout: float = 0.0, attention_dropout: float | None = None
    ) -> None:
        super().__init__()
        self.feed_in, self.feed_out = (_feed_forward(dim, dropout) for _ in range(2))
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads, dropout=dropout if attention_dropout is None else attention_dropout)
        self.convolution = Convolution(dim, kernel)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, N, D), mask (B, N) -> (B, N, D)."""
        x = x + 0.5 * self.feed_in(x)
        normed = self.norm_attention(x)
        x = x + self.dropout(self.attention(normed, normed, mask)[0])
        x = x + self.dropout(self.convolution(x, mask))
        return self.norm(x + 0.5 * self.feed_out(x))


class Convolution(nn.Module):
    """The Conformer's convolution: gate, one filter per channel over time, norm, mix of channels."""

    def __init__(self, dim: int, kernel: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.gate = nn.Linear(dim, 2 * dim)
        self.depthwise = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=dim)
        self.norm_depthwise = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, N, D), mask (B, N) -> (B, N, D)."""
        gated = F.glu(self.gate(self.norm(x)), dim=-1) * mask[..., None]
        return self.out(F.silu(self.norm_depthwise(self._filter(gated))))

    def _filter(self, x: Tensor) -> Tensor:
        """(B, N, D) -> (B, N, D)."""
        if not x.is_cpu:
            return self.depthwise(x.transpose(1, 2)).transpose(1, 2)
        # as a picture of one row, whose channels lie last as they are: half the time of rows of time
        row, weight = x.transpose(1, 2).unsqueeze(2), self.depthwise.weight.unsqueeze(2)
        padding = (0, weight.shape[-1] // 2)
        filtered = F.conv2d(row, weight, self.depthwise.bias, padding=padding, groups=len(weight))
        return filtered.squeeze(2).transpose(1, 2)


def _feed_forward(dim: int, dropout: float) -> nn.Sequential:
    drop = nn.Dropout(dropout)
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.SiLU(), drop, nn.Linear(4 * dim, dim), drop)
