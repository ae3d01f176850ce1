"""From samples to what a sound encoder reads: log-mel frames, hidden in part while training, subsampled."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.transforms import MelSpectrogram

from mmtasks.encoders.normalise import make_normalisation
from mmtasks.types import Modality, Tokens

HOP, WINDOW = 0.010, 0.025
"""Seconds from frame to frame, and of a frame."""


class LogMel(nn.Module):
    """Samples to log-mel frames, normalised (see ``mmtasks.encoders.normalise``).

    >>> LogMel(16_000, 80)(Modality(torch.zeros(2, 1600), torch.ones(2, 1600, dtype=torch.bool))).x.shape
    torch.Size([2, 11, 80])
    """

    def __init__(self, rate: int, num_mels: int, *, normalise: str = "utterance") -> None:
        super().__init__()
        self.normalise = make_normalisation(normalise, num_mels)
        window = round(rate * WINDOW)
        self.hop = round(rate * HOP)
        self.mel = MelSpectrogram(
            rate, n_fft=window, hop_length=self.hop, n_mels=num_mels, pad_mode="constant", mel_scale="slaney"
        )
        for name, buffer in list(self.mel.named_buffers()):  # constants: nothing of them belongs in a checkpoint
            owner, _, leaf = name.rpartition(".")
            self.mel.get_submodule(owner).register_buffer(leaf, buffer, persistent=False)

    def forward(self, modality: Modality) -> Tokens:
        """Data (B, T) full scale -1 to 1, mask (B, T) -> frames (B, T // hop + 1, num_mels); in float32."""
        samples, mask = modality
        with torch.autocast(samples.device.type, enabled=False):
            power = self.mel(samples.masked_fill(~mask, 0).float()).transpose(1, 2)  # [B, F, M]
            frames = (power + 1e-6).log()
        real = torch.arange(frames.shape[1], device=mask.device) <= (mask.sum(dim=1) // self.hop)[:, None]
        real &= mask.any(dim=1, keepdim=True)
        return Tokens(self.normalise(frames, real), real)


class SpecAugment(nn.Module):
    """In training, masks bands of frequency and spans of time with the utterance's mean (Park et al. 2019).

    Args:
        frequencies: masks over mel bands.
        width: the most bands of one.
        times: masks over time.
        share: the largest part of the frames that one may hide, 0–1.
        stretch: the most by which an utterance gets longer or shorter, as a share, 0–1, at the same pitch. A film
            beside it keeps its pace.
    """

    def __init__(
        self, frequencies: int = 2, width: int = 16, times: int = 2, share: float = 0.1, stretch: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 <= share <= 1 or min(frequencies, width, times) < 0:
            raise ValueError("spec_augment: frequencies, width and times must be at least 0, share from 0 to 1")
        if not 0 <= stretch < 1:
            raise ValueError(f"spec_augment: stretch {stretch} must be at least 0 and below 1")
        self.frequencies = frequencies
        self.width = width
        self.times = times
        self.share = share
        self.stretch = stretch

    def forward(self, tokens: Tokens, *, centred: bool = False) -> Tokens:
        """Frames (B, F, M) -> the same shape; with ``stretch`` of other lengths.

        centred: the mean of each band over each utterance is known to be 0.
        """
        if not self.training:
            return tokens
        if self.stretch:
            tokens = _slowed(tokens, 1 + self.stretch * (2 * torch.rand(len(tokens.x), device=tokens.x.device) - 1))
        x, mask = tokens
        lengths = mask.sum(dim=1)
        hidden = torch.zeros_like(x, dtype=torch.bool)
        for _ in range(self.frequencies):
            hidden |= _span(x.shape[2], lengths.new_full(lengths.shape, x.shape[2]), self.width)[:, None, :]
        for _ in range(self.times):
            hidden |= _span(x.shape[1], lengths, lengths * self.share)[:, :, None]
        real = mask[..., None]
        mean = 0 if centred else (x * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True).clamp(min=1)
        return Tokens(torch.where(hidden & real, mean, x), mask)


class Subsampling(nn.Module):
    """Two convolutions over time, each halving it: frames (B, F, M) -> (B, ceil(F / 4), dim)."""

    factor = 4

    def __init__(self, num_mels: int, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv1d(num_mels, dim, 3, stride=2, padding=1), nn.Conv1d(dim, dim, 3, stride=2, padding=1)]
        )

    def forward(self, tokens: Tokens) -> Tokens:
        """Tokens (B, F, M) -> Tokens (B, ceil(F / 4), dim)."""
        x, mask = tokens
        for layer in self.layers:
            x = F.gelu(layer((x * mask[..., None]).transpose(1, 2))).transpose(1, 2)
            mask = mask[:, ::2]
        return Tokens((x * mask[..., None]).contiguous(), mask.contiguous())  # the layout of what blocks give


def _slowed(tokens: Tokens, factors: Tensor) -> Tokens:
    """Frames (B, F, M) -> as if said so many times as slowly (B,): (B, F', M), between frames in proportion."""
    x, mask = tokens
    before = mask.sum(dim=1)
    after = torch.where(before > 0, (before * factors).round().long().clamp(min=1), 0)
    position = torch.arange(max(1, int(after.max())), device=x.device)
    step = (before - 1).clamp(min=0) / (after - 1).clamp(min=1)
    places = (position * step[:, None]).minimum((before - 1).clamp(min=0)[:, None])  # [B, F']
    below = places.floor().long()
    index = below[..., None].expand(-1, -1, x.shape[2])
    above = (index + 1).clamp(max=x.shape[1] - 1)
    longer = torch.lerp(x.gather(1, index), x.gather(1, above), (places - below)[..., None].to(x.dtype))
    real = position < after[:, None]
    return Tokens(longer * real[..., None], real)


def _span(size: int, lengths: Tensor, widest: Tensor | int) -> Tensor:
    """One random span of at most ``widest`` (B,) positions within each of ``lengths`` (B,): (B, size) bool."""
    draw = torch.rand(2, len(lengths), device=lengths.device)
    width = draw[0] * widest
    start = draw[1] * (lengths - width).clamp(min=0)
    position = torch.arange(size, device=lengths.device)
    return (position >= start[:, None]) & (position < (start + width)[:, None])
