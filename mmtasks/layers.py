"""Building blocks shared by encoders and fusion: attention, the pre-norm block, pooling, positions."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from mmtasks.errors import UserError


def drop_features(x: Tensor, share: float, *, training: bool) -> Tensor:
    """Dropout on x (B, N, D) with one mask (B, 1, D) for all tokens of a sample: what is pooled cannot bring it back.

    share: 0-1.
    """
    if not (training and share):
        return x
    return x * F.dropout(torch.ones_like(x[:, :1]), share)


class Attention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) over keys that may be masked.

    >>> Attention(8, 2)(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8), torch.ones(1, 5, dtype=torch.bool))[0].shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, dim: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f"dim {dim} is not a multiple of num_heads {num_heads}")
        self.num_heads = num_heads
        self.dropout = dropout
        self.query = nn.Linear(dim, dim)
        self.key_value = nn.Linear(dim, 2 * dim)
        self.out = nn.Linear(dim, dim)

    def forward(
        self, query: Tensor, context: Tensor, context_mask: Tensor | None, *, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """query (B, N, D), context (B, M, D), context_mask (B, M) -> (B, N, D), weights (B, N, M) or None.

        A query with nothing real to look at gets zeros, not NaN. No mask means that all is real, and is quicker.
        """
        return self.read(query, self.remember(context), context_mask, need_weights=need_weights)

    def remember(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a context (B, M, D), each (B, H, M, Dh), for ``read``: once for many queries."""
        key, value = (self._heads(t) for t in self.key_value(context).chunk(2, dim=-1))
        return key, value

    def read(
        self,
        query: Tensor,
        remembered: tuple[Tensor, Tensor],
        context_mask: Tensor | None = None,
        *,
        causal: bool = False,
        need_weights: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """As ``forward``, over keys and values; causal: query n sees context up to n, and there is no mask."""
        q = self._heads(self.query(query))  # [B, H, N, Dh]
        k, v = remembered
        any_real = mask = None
        if context_mask is not None:
            any_real = context_mask.any(dim=1)[:, None, None]  # [B, 1, 1]
            mask = (context_mask[:, None] | ~any_real)[:, None]  # [B, 1, 1, M]
        if need_weights:
            x, weights = self._weigh(q, k, v, mask)
        else:
            dropout = self.dropout if self.training else 0.0
            x, weights = F.scaled_dot_product_attention(q, k, v, mask, dropout_p=dropout, is_causal=causal), None
        x = self.out(x.transpose(1, 2).flatten(2))  # [B, N, D]
        if any_real is None:
            return x, weights
        return x * any_real, None if weights is None else weights * any_real

    def _weigh(self, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        """What scaled_dot_product_attention computes, and the weights (B, N, M), averaged over heads."""
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        probabilities = (scores if mask is None else scores.masked_fill(~mask, -torch.inf)).softmax(dim=-1)
        return F.dropout(probabilities, self.dropout, self.training) @ v, probabilities.mean(dim=1)

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)


class Block(nn.Module):
    """Pre-norm transformer block (Xiong et al. 2020): self-attention and a feed-forward layer, each residual.

    >>> Block(8, 2)(torch.zeros(1, 3, 8), torch.ones(1, 3, dtype=torch.bool))[0].shape
    torch.Size([1, 3, 8])
    """

    def __init__(self, dim: int, num_heads: int, *, mlp_ratio: float = 4.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads, dropout=dropout)
        self.norm_mlp = nn.LayerNorm(dim)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, mask: Tensor | None, *, context: Tensor | None = None, need_weights: bool = False
    ) -> tuple[Tensor, Tensor | None]:
        """x (B, N, D), mask (B, N) or None where all is real -> (B, N, D), weights (B, N, N) or None.

        With a context (B, M, D) x reads that instead of itself; the mask is then (B, M), the weights (B, N, M).
        """
        normed = self.norm_attention(x)
        read = normed if context is None else self.norm_attention(context)
        attended, weights = self.attention(normed, read, mask, need_weights=need_weights)
        x = x + self.dropout(attended)
        return x + self.dropout(self.mlp(self.norm_mlp(x))), weights


def run_rnn(rnn: nn.RNNBase, x: Tensor, mask: Tensor) -> Tensor:
    """A recurrent layer, batch first, over the real tokens alone, which come first: x (B, N, D), mask (B, N).

    Returns (B, N, width); a row without a real token reads one.
    """
    lengths = mask.sum(dim=1).clamp(min=1).cpu()
    packed, _ = rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    return pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean over the real tokens: x (B, N, D), mask (B, N) -> (B, D); zeros where nothing is real."""
    total = x.masked_fill(~mask.unsqueeze(-1), 0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)


def masked_max(x: Tensor, mask: Tensor) -> Tensor:
    """Maximum over the real tokens: x (B, N, D), mask (B, N) -> (B, D); zeros where nothing is real."""
    highest = x.masked_fill(~mask.unsqueeze(-1), torch.finfo(x.dtype).min).amax(dim=1)
    return highest * mask.any(dim=1, keepdim=True)


def sinusoids(length: int, dim: int) -> Tensor:
    """Sine and cosine positions (Vaswani et al. 2017): (length, dim); ``dim`` even."""
    if dim % 2:
        raise ValueError(f"positions need an even dim, got {dim}")
    rate = torch.exp(-math.log(10_000.0) * torch.arange(dim // 2) / (dim // 2))
    angle = torch.arange(length)[:, None] * rate
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def time_sinusoids(seconds: Tensor, dim: int, *, periods: tuple[float, float] = (0.1, 100.0)) -> Tensor:
    """Sine and cosine of moments (N,): (N, dim), ``dim`` even; from the shortest to the longest of ``periods``.

    All are in seconds. The dot product of two moments is the larger the nearer they are.
    """
    if dim % 2:
        raise ValueError(f"positions need an even dim, got {dim}")
    lengths = torch.logspace(math.log10(periods[0]), math.log10(periods[1]), dim // 2, device=seconds.device)
    angle = 2 * math.pi * seconds[:, None] / lengths
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def grid_sinusoids(height: int, width: int, dim: int) -> Tensor:
    """Positions on a grid, row half and column half: (height * width, dim), row-major; ``dim`` divisible by 4."""
    rows, columns = sinusoids(height, dim // 2), sinusoids(width, dim // 2)
    return torch.cat([rows.repeat_interleave(width, dim=0), columns.repeat(height, 1)], dim=1)


def pool_places(x: Tensor, grid: int, picture: tuple[int, int], *, pool: str = "mean") -> Tensor:
    """A picture's tokens, pooled within each of ``grid`` x ``grid`` places: (N, n, D) -> (N, grid * grid, D).

    Both are row-major. One place needs no grid: it is pooled from whatever tokens there are.

    Args:
        x: tokens, those of a feature grid in the shape of the picture.
        grid: places a side.
        picture: height and width in pixels.
        pool: ``mean`` or ``max``.

    Raises:
        UserError: the tokens are no grid, or one of fewer places.
    """
    if grid == 1:
        return x.mean(dim=1, keepdim=True) if pool == "mean" else x.amax(dim=1, keepdim=True)
    height, width = grid_shape(x.shape[1], picture)
    if min(height, width) < grid:
        raise UserError(
            f"grid {grid}: the features of a picture have only {height} x {width} places; set a smaller one"
        )
    cells = x.transpose(1, 2).unflatten(2, (height, width))
    pooled = F.adaptive_avg_pool2d(cells, grid) if pool == "mean" else F.adaptive_max_pool2d(cells, grid)
    return pooled.flatten(2).transpose(1, 2)


def grid_shape(count: int, picture: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns of the ``count`` places of a picture of (height, width) pixels, equally far apart both ways.

    Raises:
        UserError: no such grid has that many places, as where class tokens are among them.
    """
    for rows in range(1, count + 1):
        if count % rows == 0 and _has_one_stride((rows, count // rows), picture):
            return rows, count // rows
    raise UserError(
        f"{count} tokens of a picture of {picture[0]} x {picture[1]} pixels are no grid; "
        "use an encoder without class tokens, or grid 1"
    )


def _has_one_stride(shape: tuple[int, int], picture: tuple[int, int]) -> bool:
    """Whether some stride makes that many rows and columns of a picture, both rounded up or both rounded down."""
    fewer, same, more = (
        [side / count if count else math.inf for side, count in zip(picture, (n + change for n in shape), strict=True)]
        for change in (-1, 0, 1)
    )
    return max(same) < min(fewer) or max(more) < min(same)
