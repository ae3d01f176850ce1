"""The front end of Whisper (Radford et al. 2022): log-mel frames relative to the loudest of the recording."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import melscale_fbanks

from mmtasks.types import Modality

RATE, WINDOW, HOP = 16_000, 400, 160
"""Samples a second, of a frame, and from frame to frame."""


class WhisperMel(nn.Module):
    """Samples to the frames that transformers' WhisperFeatureExtractor makes, for a whole batch.

    Args:
        num_mels: bands up to 8 kHz.

    >>> WhisperMel(80)(Modality(torch.zeros(2, 1600), torch.ones(2, 1600, dtype=torch.bool)), 30).shape
    torch.Size([2, 80, 30])
    """

    window: Tensor
    filters: Tensor

    def __init__(self, num_mels: int) -> None:
        super().__init__()
        filters = melscale_fbanks(WINDOW // 2 + 1, 0.0, RATE / 2, num_mels, RATE, norm="slaney", mel_scale="slaney")
        self.register_buffer("filters", filters, persistent=False)
        self.register_buffer("window", torch.hann_window(WINDOW), persistent=False)

    def forward(self, modality: Modality, frames: int) -> Tensor:
        """Data (B, T) full scale -1 to 1, mask (B, T) -> (B, num_mels, frames): cut, or filled up with silence."""
        samples, mask = modality
        with torch.autocast(samples.device.type, enabled=False):
            x = samples.masked_fill(~mask, 0).float()
            x = F.pad(x, (0, frames * HOP - x.shape[1]))  # a negative width cuts
            x = F.pad(x, (0, WINDOW))  # the last frame sees silence beyond the end, not a reflection
            spectrum = torch.stft(x, WINDOW, HOP, window=self.window, return_complex=True)[..., :frames]
            power = spectrum.abs().square()  # [B, W, F]
            mel = (self.filters.T @ power).clamp(min=1e-10).log10()
            floor = mel.amax(dim=(1, 2), keepdim=True) - 8
            return (torch.maximum(mel, floor) + 4) / 4
