"""Log-mel frames to values around 0, by what the utterance or the training set is like.

All take frames (B, F, M) and their mask (B, F), and give the same shape with zeros where nothing is real.
"""

import math

import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmtasks.distributed import world_size

DECIBEL = 10 / math.log(10)
FLOOR = 60.0
"""dB below the loudest, where silence begins."""


class OverUtterance(nn.Module):
    """Mean 0 and deviation 1 of each band over the utterance: takes away channel and loudness.

    Of a single word it also takes away what its steady vowel sounds like.
    """

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """See the module."""
        weight = real[..., None]
        count = weight.sum(dim=1, keepdim=True).clamp(min=1)
        mean = (frames * weight).sum(dim=1, keepdim=True) / count
        centred = (frames - mean) * weight
        return centred / ((centred.square().sum(dim=1, keepdim=True) / count).sqrt() + 1e-3)


class BelowLoudest(nn.Module):
    """The level below the utterance's loudest value, floored 60 dB down, as -1.5 to 1.5 (after Radford et al. 2023).

    Keeps the shape of the spectrum and hides how quiet the silence was.
    """

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """See the module."""
        weight = real[..., None]
        loudest = frames.masked_fill(~weight, -torch.inf).amax(dim=(1, 2), keepdim=True)
        below = ((frames - loudest) * DECIBEL).clamp(min=-FLOOR)
        return (below / (FLOOR / 3) + 1.5).masked_fill(~weight, 0)


class OverTraining(nn.Module):
    """Mean 0 and deviation 1 of each band over everything that was trained on so far, by all processes."""

    count: Tensor
    mean: Tensor
    variance: Tensor

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("mean", torch.zeros(num_mels))
        self.register_buffer("variance", torch.ones(num_mels))

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """See the module."""
        if self.training:
            self._learn(frames[real])
        return ((frames - self.mean) / (self.variance.sqrt() + 1e-3)).masked_fill(~real[..., None], 0)

    @torch.no_grad()
    def _learn(self, frames: Tensor) -> None:
        """Join the statistics of frames (N, M) to those so far (Chan et al. 1979)."""
        sums = torch.cat([frames.new_tensor([len(frames)]), frames.sum(dim=0), frames.square().sum(dim=0)])
        if world_size() > 1:
            dist.all_reduce(sums)
        number = sums[0]
        if not number:
            return
        mean, squares = (sums[1:] / number).chunk(2)
        total = self.count + number
        step = mean - self.mean
        spread = (squares - mean.square()).clamp(min=0) * number + self.variance * self.count
        self.variance.copy_((spread + step.square() * self.count * number / total) / total)
        self.mean.add_(step * number / total)
        self.count.copy_(total)


class AsItIs(nn.Module):
    """Nothing: for who also wants to know how loud it is."""

    def forward(self, frames: Tensor, real: Tensor) -> Tensor:
        """See the module."""
        return frames.masked_fill(~real[..., None], 0)


NORMALISATIONS = {"utterance": OverUtterance, "loudest": BelowLoudest, "training": OverTraining, "none": AsItIs}


def make_normalisation(name: str, num_mels: int) -> nn.Module:
    """The module of a name in ``NORMALISATIONS``."""
    made = NORMALISATIONS[check_normalisation(name)]
    return made(num_mels) if made is OverTraining else made()


def check_normalisation(name: str) -> str:
    """The name itself. ValueError for an unknown one."""
    if name not in NORMALISATIONS:
        raise ValueError(f"normalise {name!r} is none of {', '.join(NORMALISATIONS)}")
    return name
