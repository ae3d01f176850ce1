"""Where it is said: noise and reverberation, drawn for each utterance."""

import random
from collections.abc import Sequence

import torch
import torchaudio.functional as AF
from torch import Tensor

from mmtasks.data.audio import Audio

NOISES = ("white", "pink", "babble")


class Acoustics:
    """A room and its noise, both synthetic; the length of the recording stays.

    Args:
        noise: the share of utterances with noise, 0–1.
        noise_decibels: how far the noise is below the speech, lowest and highest; lower is louder.
        noises: kinds, one drawn for each utterance: ``white``, ``pink``, ``babble`` (speech's spectrum and rhythm).
        reverberation: the share of utterances with reverberation, 0–1.
        reverberation_seconds: until the room's echo is 60 dB below the first, shortest and longest.

    >>> Acoustics(noise=1.0)(Audio(torch.ones(8000), 16_000), random.Random(0)).samples.shape
    torch.Size([8000])
    """

    def __init__(
        self,
        *,
        noise: float = 0.5,
        noise_decibels: tuple[float, float] = (10.0, 30.0),
        noises: Sequence[str] = NOISES,
        reverberation: float = 0.3,
        reverberation_seconds: tuple[float, float] = (0.1, 0.5),
    ) -> None:
        for name, share in (("noise", noise), ("reverberation", reverberation)):
            if not 0 <= share <= 1:
                raise ValueError(f"{name} {share} must be a share, 0 to 1")
        if noise_decibels[0] > noise_decibels[1]:
            raise ValueError(f"noise_decibels {list(noise_decibels)} must be lowest and highest")
        if not 0 < reverberation_seconds[0] <= reverberation_seconds[1]:
            raise ValueError(f"reverberation_seconds {list(reverberation_seconds)} must be above 0, shortest first")
        if not noises or set(noises) - set(NOISES):
            raise ValueError(f"noises {list(noises)} must be among {', '.join(NOISES)}")
        self.noise = noise
        self.noise_decibels = noise_decibels
        self.noises = list(noises)
        self.reverberation = reverberation
        self.reverberation_seconds = reverberation_seconds

    def __call__(self, audio: Audio, rng: random.Random) -> Audio:
        """The same recording in a room that ``rng`` draws."""
        generator = torch.Generator().manual_seed(rng.getrandbits(32))
        if rng.random() < self.reverberation:
            audio = reverberate(audio, rng.uniform(*self.reverberation_seconds), rng.uniform(0, 10), generator)
        if rng.random() < self.noise:
            audio = add_noise(audio, rng.choice(self.noises), rng.uniform(*self.noise_decibels), generator)
        return audio


def reverberate(audio: Audio, seconds: float, decibels: float, generator: torch.Generator) -> Audio:
    """Add the room's echo: noise that falls by 60 dB in so many ``seconds``.

    Level and length stay; what would still be heard after the end is cut off.

    Args:
        audio: the recording.
        seconds: reverberation time.
        decibels: how far the whole echo is below the direct sound.
        generator: draws the echo.
    """
    time = torch.arange(1, max(2, int(seconds * audio.rate))) / audio.rate
    echo = torch.randn(len(time), generator=generator) * 10 ** (-3 * time / seconds)
    echo *= 10 ** (-decibels / 20) / echo.norm()
    response = torch.cat([torch.ones(1), echo])
    wet = AF.fftconvolve(audio.samples, response)[: len(audio.samples)]
    return audio._replace(samples=wet * (_level(audio.samples) / _level(wet).clamp(min=1e-8)))


def add_noise(audio: Audio, kind: str, decibels: float, generator: torch.Generator) -> Audio:
    """Add noise so many dB below the recording, both measured over its whole length; silence stays silent.

    Raises:
        ValueError: an unknown kind.
    """
    noise = make_noise(kind, len(audio.samples), audio.rate, generator)
    level = _level(audio.samples) * 10 ** (-decibels / 20)
    return audio._replace(samples=audio.samples + noise * (level / _level(noise).clamp(min=1e-8)))


def make_noise(kind: str, size: int, rate: int, generator: torch.Generator) -> Tensor:
    """(size,) of noise: ``white``, ``pink`` (equal power in each octave) or ``babble``. ValueError for another kind."""
    if kind not in NOISES:
        raise ValueError(f"noise {kind!r} is none of {', '.join(NOISES)}")
    whole = _whole(size)
    white = torch.randn(whole, generator=generator)
    if kind == "white":
        return white[:size]
    hertz = torch.fft.rfftfreq(whole, 1 / rate)
    if kind == "pink":
        return torch.fft.irfft(torch.fft.rfft(white) * hertz.clamp(min=20).rsqrt(), whole)[:size]
    # the long-term spectrum of speech falls by about 9 dB an octave above 500 Hz, its loudness moves at about 4 Hz
    coloured = torch.fft.irfft(torch.fft.rfft(white) * (hertz / 500).clamp(min=1).pow(-1.5) * (hertz > 80), whole)
    phase, speed = torch.rand(2, generator=generator).tolist()
    time = torch.arange(whole) / rate
    return (coloured * (1 + 0.6 * torch.sin(2 * torch.pi * ((3 + 2 * speed) * time + phase))))[:size]


def _whole(size: int) -> int:
    """The next power of two; other lengths can be slow to transform."""
    return 1 << max(1, (size - 1).bit_length())


def _level(samples: Tensor) -> Tensor:
    """Root mean square."""
    return samples.square().mean().sqrt()
