"""Where shapes go in a shot: alone along a lane, or in pairs that meet in one and bounce off each other.

Shapes in different lanes never touch, so whatever touches collides.
"""

import random

LANES = (0.18, 0.5, 0.82)
"""Middles of the lanes, as a fraction of the picture's side; the largest shape fits between two."""
CONTACT = 0.85
"""Distance of two shapes that touch, as a share of their radii's sum: corners and arms do not fill their box."""

Path = tuple[tuple[float, float], ...]
"""The middle of a shape in every frame of a shot, in [0, 1] from the left and from the top."""


def cross(length: int, lane: float, radius: float, rng: random.Random) -> Path:
    """Move evenly along a lane from left to right, by at least a quarter of the picture, or back."""
    start = rng.uniform(radius, 0.72 - radius)
    end = rng.uniform(start + 0.25, 1 - radius)
    if rng.random() < 0.5:
        start, end = end, start
    across = lane + rng.uniform(-0.02, 0.02)
    return tuple((start + (end - start) * k / (length - 1), across) for k in range(length))


def collide(
    length: int, contact: int, lane: float, radii: tuple[float, float], rng: random.Random
) -> tuple[Path, Path, tuple[float, float]]:
    """Two shapes meet in a lane in frame ``contact`` of the shot and part more slowly.

    Returns: both paths, and where they meet.
    """
    meeting, across = rng.uniform(0.44, 0.56), lane + rng.uniform(-0.02, 0.02)
    speeds = rng.uniform(0.05, 0.08), rng.uniform(0.05, 0.08)
    paths = []
    for side, radius, speed in zip((-1, 1), radii, speeds, strict=True):
        path = []
        for k in range(length):
            apart = CONTACT * radius + (speed * (contact - k) if k < contact else 0.6 * speed * (k - contact))
            path.append((min(max(meeting + side * apart, radius), 1 - radius), across))
        paths.append(tuple(path))
    return paths[0], paths[1], (meeting, across)


def turned(path: Path) -> Path:
    """The same path with lanes from top to bottom."""
    return tuple((y, x) for x, y in path)
