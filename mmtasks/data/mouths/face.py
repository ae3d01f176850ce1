"""Whose mouth it is, and how it is filmed."""

import random
from typing import NamedTuple

Colour = tuple[float, float, float]


class Face(NamedTuple):
    """A speaker's mouth; lengths in half heights of a picture that it fills.

    skin, lips: colours in [0, 1]; span: half the mouth's width at rest; drop: how far the lips part at most; upper,
    lower: thickness of the lips.
    """

    skin: Colour
    lips: Colour
    span: float
    drop: float
    upper: float
    lower: float


class Camera(NamedTuple):
    """How a film of it is taken.

    x, y: where the middle of the mouth is, and drift: how far from there it wanders, in the units of a face; zoom and
    light: factors of size and brightness; grain: deviation of a pixel's noise, of 1.
    """

    x: float
    y: float
    drift: float
    zoom: float
    light: float
    grain: float


def draw_face(rng: random.Random) -> Face:
    """Somebody."""
    tone, red = rng.uniform(0.4, 0.9), rng.uniform(0.4, 0.6)
    return Face(
        skin=(tone, tone * rng.uniform(0.74, 0.82), tone * rng.uniform(0.58, 0.7)),
        lips=(tone * 0.85, tone * red, tone * red * rng.uniform(0.95, 1.05)),
        span=rng.uniform(0.7, 0.85),
        drop=rng.uniform(0.75, 1.0),
        upper=rng.uniform(0.16, 0.26),
        lower=rng.uniform(0.2, 0.3),
    )


def draw_camera(rng: random.Random) -> Camera:
    """Somewhere in front of it."""
    return Camera(
        x=rng.uniform(-0.1, 0.1),
        y=rng.uniform(-0.1, 0.1),
        drift=rng.uniform(0.0, 0.06),
        zoom=rng.uniform(0.9, 1.1),
        light=rng.uniform(0.75, 1.15),
        grain=rng.uniform(0.0, 0.03),
    )
