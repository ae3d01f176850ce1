"""Motion made up from a few facts of gaits, for tests and first runs. It is plausible, not measured."""

import math
import random
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from activity.encoder import GRAVITY
from activity.rows import MotionRow, MotionSource

RATE = 50.0
SUBJECTS = {"train": range(0, 24), "val": range(24, 30), "test": range(30, 45)}
HARMONICS = 4


class Gait(NamedTuple):
    """cadence: steps a second; bounce: m/s²; swing: rad/s; impact: how much of the bounce is in each next harmonic."""

    cadence: float
    bounce: float
    swing: float
    impact: float
    shake: float = 0.1
    """Noise that belongs to the activity, as of a road: m/s²."""


WALKING, RUNNING = Gait(1.85, 2.6, 1.3, 0.4), Gait(2.75, 8.5, 2.6, 0.4)


def _upstairs(gait: Gait) -> Gait:
    """Slower and softer; the leg swings more."""
    return gait._replace(cadence=0.8 * gait.cadence, swing=1.7 * gait.swing, impact=0.15)


def _downstairs(gait: Gait) -> Gait:
    """Every step ends in a hard impact; the leg swings less."""
    return gait._replace(cadence=0.95 * gait.cadence, swing=0.6 * gait.swing, impact=0.8)


ACTIVITIES = {
    "walking": WALKING,
    "walking upstairs": _upstairs(WALKING),
    "walking downstairs": _downstairs(WALKING),
    "running": RUNNING,
    "running upstairs": _upstairs(RUNNING),
    "running downstairs": _downstairs(RUNNING),
    "cycling": Gait(1.3, 0.5, 3.2, 0.05, shake=1.2),
    "standing": Gait(0.45, 0.25, 0.08, 0.3),
    "sitting": Gait(0.25, 0.05, 0.02, 0.3, shake=0.03),
}


class SimulatedMotion(MotionSource):
    """Windows of made-up walking, running, stairs, cycling, standing and sitting.

    Every person has a cadence and a way of moving, every window a device turned anew, a clock that runs fast or slow
    and unevenly, and noise. No person is in two splits.

    Args:
        split: ``train``, ``val`` or ``test``.
        number: windows; activities come in turn.
        activities: those that come; None for all.
        seconds: shortest and longest window.
        seed: of people and windows.

    >>> SimulatedMotion("test", number=2, seconds=(1.0, 1.0))[0].load().shape[1]
    6
    """

    def __init__(
        self,
        split: str = "train",
        *,
        number: int = 200,
        activities: Sequence[str] | None = None,
        seconds: tuple[float, float] = (3.0, 6.0),
        seed: int = 0,
    ) -> None:
        if split not in SUBJECTS:
            raise ValueError(f"split must be one of {', '.join(SUBJECTS)}, got {split!r}")
        if number < 1:
            raise ValueError(f"number must be at least 1, got {number}")
        names = list(ACTIVITIES if activities is None else activities)
        if not names or set(names) - set(ACTIVITIES):
            raise ValueError(f"activities {names} must be some of {', '.join(ACTIVITIES)}")
        if not 0 < seconds[0] <= seconds[1]:
            raise ValueError(f"seconds {list(seconds)} must be above 0, the shorter first")
        self.split = split
        self.number = number
        self.activities = names
        self.seconds = tuple(seconds)
        self.seed = seed
        super().__init__([self._row(i, names[i % len(names)]) for i in range(number)])

    def _row(self, i: int, activity: str) -> MotionRow:
        rng = random.Random(f"motion {self.split} {self.seed} {i}")
        subject = rng.choice(SUBJECTS[self.split])
        gait = _of_person(ACTIVITIES[activity], random.Random(f"subject {self.seed} {subject}"))
        load = partial(simulate, gait, seconds=rng.uniform(*self.seconds), seed=rng.getrandbits(32))
        where = f"motion-{self.split}:{i + 1}"
        return MotionRow(f"{self.split}-{self.seed}-{i}", activity, load, RATE, where, f"subject {subject}")


def simulate(gait: Gait, *, seconds: float, seed: int) -> np.ndarray:
    """A window of (T, 6): acceleration in m/s², gravity included, and rotation in rad/s, as the device is turned."""
    rng = np.random.default_rng(seed)
    time = _clock(seconds, rng)
    phase = 2 * math.pi * gait.cadence * rng.uniform(0.97, 1.03) * time + rng.uniform(0, 2 * math.pi)
    up = gait.bounce * _steps(phase, gait.impact, rng)
    forward = 0.6 * gait.bounce * _steps(phase + 0.5 * math.pi, gait.impact, rng)
    aside = 0.35 * gait.bounce * np.sin(phase / 2)
    acceleration = np.stack([forward, aside, up + GRAVITY], axis=1) + gait.shake * rng.standard_normal((len(time), 3))
    rotation = np.stack([0.3 * np.cos(phase / 2), np.sin(phase / 2), 0.4 * np.sin(phase)], axis=1) * gait.swing
    turn = _rotation(rng)
    measured = np.concatenate([acceleration @ turn.T, rotation @ turn.T], axis=1)
    noise = rng.standard_normal(measured.shape) * ([0.15] * 3 + [0.03] * 3)
    return (measured + noise).astype(np.float32)


def _of_person(gait: Gait, rng: random.Random) -> Gait:
    """The gait as one person has it."""
    return gait._replace(
        cadence=gait.cadence * rng.uniform(0.9, 1.1),
        bounce=gait.bounce * rng.uniform(0.75, 1.3),
        swing=gait.swing * rng.uniform(0.8, 1.25),
    )


def _clock(seconds: float, rng: np.random.Generator) -> np.ndarray:
    """When each step was measured (T,), in seconds; the device believes that they are evenly spaced."""
    number = max(2, round(seconds * RATE))
    steps = rng.normal(1, 0.05, number).clip(0.5, 1.5) / (RATE * rng.uniform(0.95, 1.05))
    return np.cumsum(steps)


def _steps(phase: np.ndarray, impact: float, rng: np.random.Generator) -> np.ndarray:
    """One beat a step (T,), sharper with more impact."""
    shifts = rng.uniform(-0.3, 0.3, HARMONICS)
    return np.sum([impact**k * np.cos((k + 1) * phase + shifts[k]) for k in range(HARMONICS)], axis=0)


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """A random turn (3, 3), evenly over all of them."""
    q, r = np.linalg.qr(rng.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q
