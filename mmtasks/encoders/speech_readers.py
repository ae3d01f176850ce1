"""How pretrained speech models of the transformers library read a padded batch of samples."""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.encoders.whisper_mel import HOP, RATE, WhisperMel
from mmtasks.types import Modality, Tokens

STRIDE = 2 * HOP
"""Samples from token to token, of Whisper and of wav2vec2's kind alike: 0.02 s."""


class WhisperReader(nn.Module):
    """Log-mel frames, then Whisper's encoder over the recording and the silence after it.

    transformers' own forward takes 30 s and nothing else; here padding is masked, so that others may stand together.
    """

    def __init__(self, config: Any, silence: float | None) -> None:
        super().__init__()
        self.mel = WhisperMel(config.num_mel_bins)
        self.window = config.max_source_positions
        self.silence = silence

    def forward(self, encoder: Any, modality: Modality) -> Tokens:
        """Data (B, T), mask (B, T) -> Tokens (B, N, width), N at most the window of 1500."""
        lengths = self._lengths(modality.mask)
        longest = max(int(lengths.max()), 1)
        mask = torch.arange(longest, device=lengths.device) < lengths[:, None]
        frames = self.mel(modality, 2 * longest)
        if self.silence is not None:  # beyond a recording's silence, what the convolution sees beyond the end: zeros
            frames = frames * mask.repeat_interleave(2, dim=1)[:, None]
        x = F.gelu(encoder.conv1(frames))
        if self.silence is not None:
            x = x * mask.repeat_interleave(2, dim=1)[:, None]
        x = F.gelu(encoder.conv2(x)).transpose(1, 2)  # [B, N, D]
        x = F.dropout(x + encoder.embed_positions.weight[:longest], encoder.dropout, self.training)
        readable = (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]  # an empty row reads everything
        for layer in encoder.layers:
            x = layer(x, None if mask.all() else readable.expand(-1, 1, longest, -1))
        return Tokens(encoder.layer_norm(x), mask)

    def _lengths(self, mask: Tensor) -> Tensor:
        """Tokens of each recording, 0 for those without real samples."""
        real = mask.sum(dim=1)
        if self.silence is None:
            return self.window * (real > 0)
        lengths = (real + STRIDE - 1) // STRIDE + math.ceil(self.silence * RATE / STRIDE)
        return lengths.clamp(max=self.window) * (real > 0)


class WaveReader(nn.Module):
    """Samples, normalised as their model was trained, to wav2vec 2.0, HuBERT or WavLM."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.normalise = config.feat_extract_norm == "layer"
        """Models with layer norm in their convolutions read samples of mean 0 and deviation 1, and a mask."""
        self.shortest = _field(config.conv_kernel, config.conv_stride)
        """Samples of one token: 400 as published."""
        self.masked = int(config.mask_time_length)
        """Tokens that training masks in a row, and the model wants to have at least."""

    def forward(self, model: Any, modality: Modality) -> Tokens:
        """Data (B, T), mask (B, T) -> Tokens (B, N, width), zero where padded; none of less than a token's samples."""
        least = self.shortest + (self.masked - 1) * STRIDE if self.training else self.shortest
        missing = max(0, least - modality.mask.shape[1])
        samples, mask = F.pad(modality.data, (0, missing)), F.pad(modality.mask, (0, missing))
        x = samples * mask
        if self.normalise:
            count = mask.sum(dim=1, keepdim=True).clamp(min=1)
            centred = (x - x.sum(dim=1, keepdim=True) / count) * mask
            x = centred / (centred.square().sum(dim=1, keepdim=True) / count + 1e-7).sqrt()
        lengths = model._get_feat_extract_output_lengths(mask.sum(dim=1)).clamp(min=0)
        readable = mask | (lengths == 0)[:, None]  # a row without tokens reads everything; masked in the tokens
        x = model(x, attention_mask=readable.long()).last_hidden_state
        return Tokens(x, torch.arange(x.shape[1], device=mask.device) < lengths[:, None])


def _field(kernels: Sequence[int], strides: Sequence[int]) -> int:
    """Samples that one output of convolutions, one upon the other, depends on."""
    field = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        field = (field - 1) * stride + kernel
    return field
