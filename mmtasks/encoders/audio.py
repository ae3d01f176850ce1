"""Sound encoders trained from scratch: log-mel frames, convolutional subsampling, then a Conformer, a transformer or an
LSTM.

Padding never reaches a real frame: every convolution sees zeros beyond the end, as it would without padding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence
from torchaudio.transforms import MelSpectrogram

from mmtasks.encoders.base import Encoder
from mmtasks.layers import Attention, Block, sinusoids
from mmtasks.types import Facts, Modality, Tokens

HOP, WINDOW = 0.010, 0.025
"""Seconds from frame to frame, and of a frame."""


class LogMel(nn.Module):
    """Samples to log-mel frames, each mel band with mean 0 and deviation 1 over the real frames of an utterance.

    >>> LogMel(16_000, 80)(Modality(torch.zeros(2, 1600), torch.ones(2, 1600, dtype=torch.bool))).x.shape
    torch.Size([2, 11, 80])
    """

    def __init__(self, rate: int, num_mels: int) -> None:
        super().__init__()
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
        return Tokens(_normalise(frames, real), real)


class SpecAugment(nn.Module):
    """In training, masks bands of frequency and stretches of time with zeros, the mean (Park et al. 2019).

    Args:
        frequencies: masks over mel bands.
        width: the most bands of one.
        times: masks over time.
        share: the largest part of the frames that one may hide, 0–1.
    """

    def __init__(self, frequencies: int = 2, width: int = 16, times: int = 2, share: float = 0.1) -> None:
        super().__init__()
        if not 0 <= share <= 1 or min(frequencies, width, times) < 0:
            raise ValueError("spec_augment: frequencies, width and times must be at least 0, share from 0 to 1")
        self.frequencies = frequencies
        self.width = width
        self.times = times
        self.share = share

    def forward(self, tokens: Tokens) -> Tokens:
        """Frames (B, F, M) -> the same shape."""
        if not self.training:
            return tokens
        x, mask = tokens
        lengths = mask.sum(dim=1)
        for _ in range(self.frequencies):
            x = x * ~_stretch(x.shape[2], lengths.new_full(lengths.shape, x.shape[2]), self.width)[:, None, :]
        for _ in range(self.times):
            x = x * ~_stretch(x.shape[1], lengths, lengths * self.share)[:, :, None]
        return Tokens(x, mask)


class Subsampling(nn.Module):
    """Two convolutions over time, each halving it: frames (B, F, M) -> (B, ceil(F / 4), dim)."""

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
        return Tokens(x * mask[..., None], mask)


class AudioEncoder(Encoder):
    """Samples (B, T) -> log-mel -> a token every 40 ms. Subclasses make and apply what reads the tokens.

    Args:
        dim: width of a token.
        num_mels: bands of the spectrogram.
        spec_augment: arguments of ``SpecAugment``; None for its defaults, ``{frequencies: 0, times: 0}`` for none.
        dropout: on the subsampled frames and within the layers; in [0, 1).
    """

    def __init__(
        self, dim: int, *, num_mels: int = 80, spec_augment: dict[str, Any] | None = None, dropout: float = 0.1
    ) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"dim {dim} must be even")
        if num_mels < 1:
            raise ValueError(f"num_mels {num_mels} must be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        self.dim = self.width = dim
        self.num_mels = num_mels
        self.spec_augment = spec_augment
        self.dropout = dropout
        self.augment = SpecAugment(**(spec_augment or {}))

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        self.front = LogMel(facts["rate"], self.num_mels)
        self.subsample = Subsampling(self.num_mels, self.dim)
        self.drop = nn.Dropout(self.dropout)

    def forward(self, modality: Modality) -> Tokens:
        """Samples (B, T) -> Tokens of (B, about T / rate / 0.04, dim), zero where padded."""
        x, mask = self.subsample(self.augment(self.front(modality)))
        x = self.drop(x + sinusoids(x.shape[1], self.dim).to(x))
        return Tokens(self.read(x, mask) * mask[..., None], mask)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Subsampled frames (B, N, dim), mask (B, N) -> (B, N, dim)."""
        raise NotImplementedError(f"{type(self).__name__}.read")


class ConformerAudio(AudioEncoder):
    """Conformer (Gulati et al. 2020), with layer norm in the convolution instead of batch norm.

    Args:
        dim: width of a token; even, a multiple of ``num_heads``.
        num_layers: Conformer blocks.
        num_heads: attention heads of a block.
        kernel: tokens that the convolution sees; odd.
        num_mels: bands of the spectrogram.
        spec_augment: arguments of ``SpecAugment``.
        dropout: on the subsampled frames and within the blocks.

    >>> encoder = ConformerAudio(8, num_layers=1, num_heads=2)
    >>> encoder.build({"rate": 16_000})
    >>> encoder(Modality(torch.zeros(2, 1600), torch.ones(2, 1600, dtype=torch.bool))).x.shape
    torch.Size([2, 3, 8])
    """

    def __init__(
        self,
        dim: int = 144,
        *,
        num_layers: int = 8,
        num_heads: int = 4,
        kernel: int = 15,
        num_mels: int = 80,
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(dim, num_mels=num_mels, spec_augment=spec_augment, dropout=dropout)
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel {kernel} must be odd and at least 1")
        if dim % num_heads:
            raise ValueError(f"dim {dim} must be a multiple of num_heads {num_heads}")
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.kernel = kernel

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        super().build(facts)
        self.blocks = nn.ModuleList(
            ConformerBlock(self.dim, self.num_heads, self.kernel, dropout=self.dropout) for _ in range(self.num_layers)
        )

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through all blocks."""
        for block in self.blocks:
            x = block(x, mask)
        return x


class TransformerAudio(AudioEncoder):
    """Pre-norm transformer over subsampled frames.

    Args:
        dim: width of a token; even, a multiple of ``num_heads``.
        num_layers: transformer blocks.
        num_heads: attention heads of a block.
        num_mels: bands of the spectrogram.
        spec_augment: arguments of ``SpecAugment``.
        dropout: on the subsampled frames and within the blocks.
    """

    def __init__(
        self,
        dim: int = 144,
        *,
        num_layers: int = 8,
        num_heads: int = 4,
        num_mels: int = 80,
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(dim, num_mels=num_mels, spec_augment=spec_augment, dropout=dropout)
        if dim % num_heads:
            raise ValueError(f"dim {dim} must be a multiple of num_heads {num_heads}")
        self.num_layers = num_layers
        self.num_heads = num_heads

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        super().build(facts)
        self.blocks = nn.ModuleList(
            Block(self.dim, self.num_heads, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(self.dim)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through all blocks."""
        for block in self.blocks:
            x, _ = block(x, mask)
        return self.norm(x)


class LSTMAudio(AudioEncoder):
    """Bidirectional LSTM over subsampled frames.

    Args:
        dim: width of a token; even, half for each direction.
        num_layers: LSTM layers.
        num_mels: bands of the spectrogram.
        spec_augment: arguments of ``SpecAugment``.
        dropout: on the subsampled frames and between the layers.
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        num_layers: int = 3,
        num_mels: int = 80,
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(dim, num_mels=num_mels, spec_augment=spec_augment, dropout=dropout)
        self.num_layers = num_layers

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        super().build(facts)
        dropout = self.dropout if self.num_layers > 1 else 0.0
        self.rnn = nn.LSTM(
            self.dim, self.dim // 2, self.num_layers, bidirectional=True, dropout=dropout, batch_first=True
        )

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Both directions, over the real tokens alone."""
        lengths = mask.sum(dim=1).clamp(min=1).cpu()
        packed, _ = self.rnn(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
        return pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])[0]


class ConformerBlock(nn.Module):
    """Half a feed-forward layer, attention, convolution, the other half; each residual, a norm at the end."""

    def __init__(self, dim: int, num_heads: int, kernel: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.feed_in, self.feed_out = (_feed_forward(dim, dropout) for _ in range(2))
        self.norm_attention = nn.LayerNorm(dim)
        self.attention = Attention(dim, num_heads, dropout=dropout)
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
        filtered = self.depthwise(gated.transpose(1, 2)).transpose(1, 2)
        return self.out(F.silu(self.norm_depthwise(filtered)))


def _feed_forward(dim: int, dropout: float) -> nn.Sequential:
    drop = nn.Dropout(dropout)
    return nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, 4 * dim), nn.SiLU(), drop, nn.Linear(4 * dim, dim), drop)


def _normalise(frames: Tensor, real: Tensor) -> Tensor:
    """frames (B, F, M), real (B, F): mean 0, deviation 1 of each band over the real frames; zeros elsewhere."""
    weight = real[..., None]
    count = weight.sum(dim=1, keepdim=True).clamp(min=1)
    mean = (frames * weight).sum(dim=1, keepdim=True) / count
    centred = (frames - mean) * weight
    return centred / ((centred.square().sum(dim=1, keepdim=True) / count).sqrt() + 1e-3)


def _stretch(size: int, lengths: Tensor, widest: Tensor | int) -> Tensor:
    """One random stretch of at most ``widest`` (B,) positions within each of ``lengths`` (B,): (B, size) bool."""
    draw = torch.rand(2, len(lengths), device=lengths.device)
    width = draw[0] * widest
    start = draw[1] * (lengths - width).clamp(min=0)
    position = torch.arange(size, device=lengths.device)
    return (position >= start[:, None]) & (position < (start + width)[:, None])
