"""Motion sensors to tokens."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.types import Facts, Modality, Tokens

CHANNELS = 6
GRAVITY = 9.81


class MotionEncoder(Encoder):
    """Convolutions over time, each halving it, over six channels and the lengths of their two vectors.

    The lengths do not depend on how the device is turned. Padding never reaches a real step: every convolution sees
    zeros beyond the end, as it would without padding.

    Args:
        dim: width of a token.
        num_layers: convolutions; a token stands for 2 to the power of ``num_layers`` steps.
        kernel: steps that a convolution sees; odd.

    >>> encoder = MotionEncoder(8, num_layers=2)
    >>> encoder.build({})
    >>> encoder(Modality(torch.zeros(2, 50, 6), torch.ones(2, 50, dtype=torch.bool))).x.shape
    torch.Size([2, 13, 8])
    """

    def __init__(self, dim: int = 64, *, num_layers: int = 3, kernel: int = 5) -> None:
        super().__init__()
        if dim < 1:
            raise ValueError(f"dim {dim} must be at least 1")
        if num_layers < 1:
            raise ValueError(f"num_layers {num_layers} must be at least 1")
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel {kernel} must be odd and at least 1")
        self.dim = self.width = dim
        self.num_layers = num_layers
        self.kernel = kernel

    def build(self, facts: Facts) -> None:
        """Make the weights; the sensor's units are known, so nothing of the data is needed."""
        widths = [CHANNELS + 2, *[self.dim] * self.num_layers]
        self.layers = nn.ModuleList(
            nn.Conv1d(narrow, wide, self.kernel, stride=2, padding=self.kernel // 2)
            for narrow, wide in itertools.pairwise(widths)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(self.dim) for _ in self.layers)

    def forward(self, modality: Modality) -> Tokens:
        """Steps (B, T, 6) in m/s² and rad/s -> Tokens (B, about T / 2^num_layers, dim), zero where padded."""
        x, mask = _with_lengths(modality.data), modality.mask
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = layer((x * mask[..., None]).transpose(1, 2)).transpose(1, 2)
            x, mask = F.gelu(norm(x)), mask[:, ::2]
        return Tokens(x * mask[..., None], mask)


def _with_lengths(steps: Tensor) -> Tensor:
    """Acceleration in g and rotation in rad/s, and how much of each there is: (B, T, 6) -> (B, T, 8)."""
    acceleration, rotation = steps[..., :3] / GRAVITY, steps[..., 3:]
    lengths = [acceleration.norm(dim=-1, keepdim=True) - 1, rotation.norm(dim=-1, keepdim=True)]
    return torch.cat([acceleration, rotation, *lengths], dim=-1)
