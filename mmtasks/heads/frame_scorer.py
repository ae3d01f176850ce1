"""From fused tokens of a video to the importance of each step."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.layers import masked_mean


class FrameScorer(nn.Module):
    """Two layers, the same for every step and place, averaged over a step's places; once trained, a weighted mean with
    the steps around.

    Args:
        dim: width of a token.
        smooth: deviation of the Gaussian that weighs the steps around, in steps; 0 for each step alone. Training goes
            without: there each step has to be right by itself.
        dropout: before each layer, in [0, 1).

    >>> FrameScorer(8)(torch.zeros(2, 5, 4, 8), torch.ones(2, 5, 4, dtype=torch.bool)).shape
    torch.Size([2, 5])
    """

    def __init__(self, dim: int, *, smooth: float = 0.0, dropout: float = 0.0) -> None:
        super().__init__()
        self.smooth = smooth
        self.layers = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Dropout(dropout),
            nn.Linear(dim, dim),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(dim, 1),
        )

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, P, D) of P places of each step, mask (B, T, P) -> logits (B, T)."""
        logits = masked_mean(self.layers(x).flatten(0, 1), mask.flatten(0, 1)).view(mask.shape[:2])
        return smoothed(logits, mask.any(dim=2), self.smooth) if self.smooth and not self.training else logits


def smoothed(values: Tensor, mask: Tensor, deviation: float) -> Tensor:
    """Weighted mean of the real steps around each: values (B, T), mask (B, T), deviation in steps -> (B, T)."""
    reach = math.ceil(3 * deviation)
    distance = torch.arange(-reach, reach + 1, device=values.device, dtype=values.dtype)
    kernel = torch.exp(-0.5 * (distance / deviation) ** 2)[None, None]
    total, weight = (F.conv1d(v[:, None], kernel, padding=reach)[:, 0] for v in (values * mask, mask.to(values)))
    return total / weight.clamp(min=torch.finfo(values.dtype).tiny)
