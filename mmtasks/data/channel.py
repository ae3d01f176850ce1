"""What a voice and its microphone do to every sound: measured over all that somebody says, and taken away."""

from collections.abc import Sequence
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 0.025
"""Seconds of a frame, at least; of samples there are a power of two."""
LOUD = 30.0
"""dB below a recording's loudest frame, to which frames are speech."""
FLOOR = 1e-7
"""The least power of a band, of a recording's loudest frame."""
SMOOTHED = 9
"""Bands over which the filter is smoothed."""
BEND = 500.0
"""Hz at which speech is loudest."""
TILT, BELOW = 6.0, 9.0
"""dB: how much softer speech gets with each octave above ``BEND``, and from there down to 0 Hz."""
STRONGEST = 20.0
"""dB by which the filter raises or lowers a band, at most."""


class Channel(NamedTuple):
    """The average spectrum of one speaker through one microphone.

    total: (K,) sum of the log power of K bands from 0 Hz to half the rate, over ``frames`` frames of speech.
    """

    total: Tensor
    frames: int

    @classmethod
    def of(cls, samples: Tensor, rate: int) -> Self:
        """Of one recording (T,); of none of its frames where it is silent or too short."""
        size = window(rate)
        if len(samples) < size:
            return cls(torch.zeros(size // 2 + 1), 0)
        spectrum = torch.stft(samples, size, size // 2, window=torch.hann_window(size), return_complex=True)
        power = spectrum.abs().square()  # [K, frames]
        energy = power.sum(dim=0)
        if not energy.max() > 0:
            return cls(torch.zeros(size // 2 + 1), 0)
        loud = power[:, energy > energy.max() * 10 ** (-LOUD / 10)] / energy.max()
        return cls((loud + FLOOR).log().sum(dim=1), loud.shape[1])

    @classmethod
    def together(cls, channels: Sequence["Channel"]) -> Self:
        """Of several recordings of one speaker, at least one."""
        return cls(torch.stack([c.total for c in channels]).sum(dim=0), sum(c.frames for c in channels))


def window(rate: int) -> int:
    """Samples of a frame.

    >>> window(8000), window(16_000)
    (256, 512)
    """
    return 1 << (int(rate * WINDOW) - 1).bit_length()


def flatten(samples: Tensor, rate: int, channel: Channel) -> Tensor:
    """Samples (T,) as if their channel had the average spectrum of speech (after Byrne et al. 1994): (T,).

    By a filter of linear phase, which moves nothing in time and leaves the loudness about as it is.
    """
    if not channel.frames:
        return samples
    taps = _filter(channel, rate)
    size, middle = len(samples) + len(taps) - 1, len(taps) // 2
    filtered = torch.fft.irfft(torch.fft.rfft(samples, size) * torch.fft.rfft(taps, size), size)
    return filtered[middle : middle + len(samples)]


def _filter(channel: Channel, rate: int) -> Tensor:
    """From the channel to speech: taps, as many as a frame has samples."""
    size = window(rate)
    decibels = _smooth(_speech(rate) - 10 / torch.tensor(10.0).log() * channel.total / channel.frames)
    gain = 10 ** ((decibels - decibels.mean()).clamp(-STRONGEST, STRONGEST) / 20)
    return torch.fft.irfft(gain, size).roll(size // 2) * torch.hann_window(size)


def _speech(rate: int) -> Tensor:
    """dB of each band (K,) in the average spectrum of speech."""
    hertz = torch.linspace(0, rate / 2, window(rate) // 2 + 1)
    return -TILT * (hertz.clamp(min=BEND) / BEND).log2() - BELOW * (1 - hertz / BEND).clamp(min=0)


def _smooth(bands: Tensor) -> Tensor:
    """(K,) -> (K,), each band with its neighbours."""
    weights = torch.hann_window(SMOOTHED + 2)[1:-1]
    padded = F.pad(bands[None, None], (SMOOTHED // 2, SMOOTHED // 2), mode="replicate")
    return F.conv1d(padded, (weights / weights.sum())[None, None])[0, 0]
