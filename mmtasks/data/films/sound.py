"""What films sound like: a click where two shapes collide, a chime where one appears, and a quiet hiss throughout."""

import math
import random

import torch
from torch import Tensor

from mmtasks.data.films.world import FPS, Film

HISS = 0.002
"""Deviation of the noise that is always there, of full scale."""
LEVELS = (0.15, 0.4)
"""How loud the softest and the loudest event is."""
DECAY = {"collision": 0.05, "appearance": 0.2}
"""Seconds in which an event's sound falls to a third; the others are not heard."""
PITCH = (800.0, 1200.0)
"""Hz of the lowest and the highest chime."""


def render_sound(film: Film, *, rate: int = 8000, seed: int = 0) -> Tensor:
    """The sound of a whole film, (n,) float32 at ``rate``; the same film and seed give the same samples.

    ``seed`` draws levels, pitches and noise. ValueError for a rate below 4000 samples a second.
    """
    if rate < 4000:
        raise ValueError(f"rate must be at least 4000, got {rate}")
    rng = random.Random(seed)
    generator = torch.Generator().manual_seed(rng.getrandbits(32))
    samples = HISS * torch.randn(round(film.n_frames / FPS * rate), generator=generator)
    for event in film.events:
        if event.kind in DECAY:
            start = round(event.first / FPS * rate)
            made = _event(event.kind, rate, rng, generator)[: len(samples) - start]
            samples[start : start + len(made)] += made
    return samples


def _event(kind: str, rate: int, rng: random.Random, generator: torch.Generator) -> Tensor:
    """Noise or a tone that fades."""
    time = torch.arange(round(5 * DECAY[kind] * rate)) / rate
    if kind == "collision":
        wave = torch.randn(len(time), generator=generator).clamp(-2, 2) / 2
    else:
        wave = torch.sin(2 * math.pi * rng.uniform(*PITCH) * time)
    return rng.uniform(*LEVELS) * wave * torch.exp(-time / DECAY[kind])
