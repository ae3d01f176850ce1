"""The sound of a video as one vector for each step that a model sees of it."""

from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.audio import mix
from mmtasks.data.audio_blocks import equal_blocks, longer_blocks, resample_blocks
from mmtasks.data.sound_track import continuous, pieces
from mmtasks.data.video_seek import Track
from mmtasks.encoders.base import Encoder, build_once
from mmtasks.errors import UserError
from mmtasks.types import Modality

ALONE = 0.5
"""Seconds before and after the only step of a video that count as its sound."""
SHORTEST = 1.0
"""Seconds of samples that an encoder gets at least, the rest of them masked: convolutions need more than a few."""


class SoundProcessor(Configured):
    """Path and times to the sound around each step; holds a window of it at a time.

    A step's vector is the mean of the encoder's tokens from the middle to the step before to the middle to the step
    after it. Where the file has pictures and no sound, it is silent.

    Args:
        encoder: of sound, evaluated without gradients. One that has no weights yet is built when first needed; those it
            draws at random are the same every time.
        rate: samples a second that the encoder reads.
        window: seconds that are encoded at once, each window by itself.
    """

    def __init__(self, encoder: Encoder, *, rate: int = 16_000, window: float = 30.0) -> None:
        if rate < 1000:
            raise ValueError(f"rate {rate} must be at least 1000 samples a second")
        if not SHORTEST <= window < float("inf"):
            raise ValueError(f"window {window} must be at least {SHORTEST} seconds")
        self.encoder = encoder
        self.rate = rate
        self.window = window

    def build(self) -> float:
        """Make the encoder's weights, where it has none; seconds from one of its tokens to the next.

        Raises:
            UserError: it is no encoder of sound.
        """
        build_once(self.encoder, {"rate": self.rate})
        facts = self.encoder.learned_facts()
        if "token_seconds" not in facts:
            raise UserError(f"{type(self.encoder).__name__} is no encoder of sound; give one of sound")
        return float(facts["token_seconds"])

    def __call__(self, path: str | Path, seconds: np.ndarray, *, device: str | torch.device = "cpu") -> Tensor | None:
        """The sound around steps (T,), in ascending seconds from the first picture on, as (T, D) float32.

        None for a file without sound.

        Raises:
            UserError: not a video, or samples that are not numbers.
        """
        with Track(path) as pictures:
            if not pictures.has_sound:
                return None
            zero = pictures.first
        with Track(path, "audio") as track:
            samples = _mono(track, zero, until=_edges(seconds)[-1])
            first = next(samples, None)
            if first is None:
                return None
            rate = track.stream.rate
            longer = longer_blocks(chain([first], samples), round(self.window * rate))
            return self.around(resample_blocks(longer, rate, self.rate), seconds, device=device)

    def around(self, blocks: Iterable[Tensor], seconds: np.ndarray, *, device: str | torch.device = "cpu") -> Tensor:
        """The same of sound in blocks (n,) of samples at ``rate`` that begin with the first picture."""
        token_seconds = self.build()
        edges = _edges(seconds)
        total = torch.zeros(len(seconds), self.encoder.width, dtype=torch.float64)
        weight = torch.zeros(len(seconds), 1, dtype=torch.float64)
        begin = 0.0
        for block in equal_blocks(blocks, round(self.window * self.rate)):
            end = begin + len(block) / self.rate
            first = max(int(np.searchsorted(edges, begin, side="right")) - 1, 0)
            last = min(int(np.searchsorted(edges, end)), len(seconds))
            if first < last:
                tokens = self._encode(block, device)
                within = (edges[first : last + 1].clip(begin, end) - begin) / token_seconds
                places = torch.from_numpy(within.clip(max=len(tokens)))[:, None]
                total[first:last] += _summed(tokens, places).diff(dim=0)
                weight[first:last] += places.diff(dim=0)
            begin = end
        return (total / weight.clamp(min=1e-9)).float()

    @torch.no_grad()
    def _encode(self, block: Tensor, device: str | torch.device) -> Tensor:
        """Samples (n,) -> real tokens (K, D) float64, on the CPU."""
        missing = max(0, round(SHORTEST * self.rate) - len(block))
        mask = F.pad(torch.ones(1, len(block), dtype=torch.bool), (0, missing))
        heard = Modality(F.pad(block[None], (0, missing)).to(device), mask.to(device))
        tokens = self.encoder.to(device).eval()(heard)
        return tokens.x[tokens.mask].cpu().double()


def _mono(track: Track, zero: float, *, until: float) -> Iterator[Tensor]:
    """Samples (n,) at the file's own rate from the first picture on, silent where none are; nothing without sound."""
    rate, name = track.stream.rate, str(track.path)
    mixed = ((place, mix(samples.T, name).numpy()[None]) for place, samples in pieces(track, zero, rate=rate))
    first = next(mixed, None)
    if first is not None:
        for part in continuous(chain([first], mixed), 0, round(until * rate), channels=1, at_once=rate):
            yield torch.from_numpy(part[0])


def _edges(seconds: np.ndarray) -> np.ndarray:
    """Where the sound of each step begins, and where that of the last one ends: (T,) -> (T + 1,), from 0 on."""
    half = np.diff(seconds) / 2 if len(seconds) > 1 else np.array([ALONE])
    edges = [seconds[0] - half[0], *(seconds[:-1] + half), seconds[-1] + half[-1]]
    return np.maximum(edges, 0)


def _summed(tokens: Tensor, places: Tensor) -> Tensor:
    """Tokens (K, D) summed up to each place (E, 1), counted in tokens, of the one there a part -> (E, D)."""
    before = F.pad(tokens.cumsum(dim=0), (0, 0, 1, 0))
    whole = places.long().squeeze(1)
    return before[whole] + (places - whole[:, None]) * F.pad(tokens, (0, 0, 0, 1))[whole]
