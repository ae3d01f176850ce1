"""How people who came for one kind of event rate a film: those events most, their opposites least.

A viewer rates under the other title as in a mirror: 1 minus the rating under the first. Kendall's τ and Spearman's ρ of
any scores against the two are therefore of one size and opposite sign, so scores that do not depend on the title have a
mean of 0 over the two rows of a film.
"""

import random
from typing import NamedTuple

import numpy as np

from mmtasks.data.films.world import Film
from mmtasks.data.scenes.splits import check_choice

WIDTH = 1.5
"""Interest falls as a normal curve of this deviation, in frames, before and after an event."""
QUIET = 0.25
"""Truth of a quiet frame. Not halfway: then a squared error rewards whoever finds events, even before the title is
understood, and pictures and titles need not be learned at once. Only the order of frames counts for τ and ρ."""
TITLES = (0, 1)
SIGNS = (1, -1)
LEVELS = 4
"""Steps of a rating above the middle, and below it; a power of two, so that ratings and their sums are exact."""


class Viewer(NamedTuple):
    """A person's habits, in frames but for ``noise``.

    lag: how late events are noticed, negative if expected; width: see ``WIDTH``; jitter: deviation of the lag between
    events; noise: deviation of a frame's rating, of 1.
    """

    lag: float
    width: float
    jitter: float
    noise: float


def draw_viewers(number: int, rng: random.Random) -> list[Viewer]:
    """People with habits of their own. ValueError for a number below 1."""
    if number < 1:
        raise ValueError(f"viewers must be at least 1, got {number}")
    return [
        Viewer(rng.uniform(-0.5, 0.5), WIDTH * rng.uniform(0.8, 1.2), rng.uniform(0.2, 0.4), rng.uniform(0.02, 0.06))
        for _ in range(number)
    ]


def truth(film: Film, title: int) -> np.ndarray:
    """What a frame is worth to whoever came for ``film.named[title]``: (T,) float32 in [0, 1].

    1 in events of that kind, 0 in those of the opposite, ``QUIET`` far from both; ordered as ``ratings`` are.
    """
    check_choice("title", title, TITLES)
    interest = SIGNS[title] * _interest(film, WIDTH, np.zeros(len(film.events)))
    return (QUIET + np.where(interest > 0, 1 - QUIET, QUIET) * interest).astype(np.float32)


def ratings(film: Film, title: int, viewers: list[Viewer], seed: int) -> np.ndarray:
    """The viewers' ratings under a title: (U, T) float32 in eighths of 1; mirrored under the other, given one seed."""
    check_choice("title", title, TITLES)
    rng = np.random.default_rng(seed)
    rated = []
    for viewer in viewers:
        lags = viewer.lag + viewer.jitter * rng.standard_normal(len(film.events))
        noisy = _interest(film, viewer.width, lags) + viewer.noise * rng.standard_normal(film.n_frames)
        rated.append(np.rint(LEVELS * noisy.clip(-1, 1)))
    return ((LEVELS + SIGNS[title] * np.stack(rated)) / (2 * LEVELS)).astype(np.float32)


def _interest(film: Film, width: float, lags: np.ndarray) -> np.ndarray:
    """Lags of events (E,) -> (T,) in [-1, 1]: 1 in events of the first kind named, -1 in those of the second."""
    frames = np.arange(film.n_frames)
    signs = dict(zip(film.named, SIGNS, strict=True))
    value = np.array([signs.get(event.kind, 0) for event in film.events])
    first, last = (np.array(ends)[:, None] for ends in zip(*((e.first, e.last) for e in film.events), strict=True))
    apart = np.maximum(np.maximum(first - frames + lags[:, None], frames - last - lags[:, None]), 0)  # [E, T]
    return (value @ np.exp(-0.5 * (apart / width) ** 2)).clip(-1, 1)
