"""Pictures of scenes: flat shapes on a grey ground, drawn at four times the size and averaged down."""

import math
import random

from PIL import Image, ImageDraw

from mmtasks.data.scenes.scene import Item, Scene

PAINT = {
    "red": (215, 35, 35),
    "green": (40, 155, 55),
    "blue": (35, 75, 225),
    "yellow": (245, 225, 50),
    "purple": (135, 35, 165),
    "orange": (250, 130, 20),
    "white": (245, 245, 245),
    "black": (18, 18, 18),
}
RADIUS = {"small": 0.075, "large": 0.13}
"""Half the box of one copy, as a fraction of the picture's side."""
GAP = 0.04
OVERSAMPLING = 4

Point = tuple[float, float]


def _star() -> list[Point]:
    turns = [(0.42 if k % 2 else 1.0, math.pi * k / 5) for k in range(10)]
    return [(r * math.sin(angle), 0.05 - r * math.cos(angle) * 0.95) for r, angle in turns]


OUTLINES: dict[str, list[Point]] = {
    "square": [(-0.82, -0.82), (0.82, -0.82), (0.82, 0.82), (-0.82, 0.82)],
    "triangle": [(0.0, -0.9), (0.98, 0.8), (-0.98, 0.8)],
    "star": _star(),
    "cross": [(0.3 * x, y) if k else (x, 0.3 * y) for k in (0, 1) for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))],
    "diamond": [(0.0, -1.0), (0.7, 0.0), (0.0, 1.0), (-0.7, 0.0)],
}
"""Corners within [-1, 1]; a cross is two bars of four corners each, a circle is an ellipse."""


def render(scene: Scene, *, size: int = 64, seed: int = 0) -> Image.Image:
    """Draw a scene as an RGB picture of ``size`` × ``size`` pixels; the same scene and seed give the same pixels.

    ``seed`` draws ground, shades and small shifts. A group keeps to its half of the picture and copies never overlap.
    ValueError for a size below 16.
    """
    if size < 16:
        raise ValueError(f"size must be at least 16, got {size}")
    rng = random.Random(seed)
    ground = rng.randint(100, 160)
    side = size * OVERSAMPLING
    image = Image.new("RGB", (side, side), shade((ground, ground, ground), 5, rng))
    draw = ImageDraw.Draw(image)
    for group in scene.groups:
        for x, y in _places(group, scene.horizontal, rng):
            fill = shade(PAINT[group.colour], 12, rng)
            draw_shape(draw, group.shape, (x * side, y * side), RADIUS[group.size] * side, fill)
    return image.reduce(OVERSAMPLING)


def _places(group: Item, horizontal: bool, rng: random.Random) -> list[Point]:
    """Middles of a group's copies: a loose column where groups stand side by side, else a loose row."""
    radius = RADIUS[group.size]
    reach = group.count * radius + (group.count - 1) * GAP / 2 + 0.02
    along, across = (group.x, group.y) if horizontal else (group.y, group.x)
    across = min(max(across, reach), 1 - reach)
    places = []
    for k in range(group.count):
        step = (k - (group.count - 1) / 2) * (2 * radius + GAP)
        shifted = min(max(along + rng.uniform(-0.05, 0.05), radius + 0.02), 0.98 - radius)
        a, b = shifted, across + step + rng.uniform(-0.4, 0.4) * GAP
        places.append((a, b) if horizontal else (b, a))
    return places


def draw_shape(draw: ImageDraw.ImageDraw, shape: str, middle: Point, radius: float, fill: tuple[int, int, int]) -> None:
    """Fill a shape; middle and radius, half the side of its box, in pixels."""
    x, y = middle
    if shape == "circle":
        r = 0.92 * radius
        draw.ellipse((x - r, y - r, x + r, y + r), fill=fill)
        return
    corners = [(x + radius * dx, y + radius * dy) for dx, dy in OUTLINES[shape]]
    parts = (corners[:4], corners[4:]) if shape == "cross" else (corners,)
    for part in parts:
        draw.polygon(part, fill=fill)


def shade(paint: tuple[int, int, int], most: int, rng: random.Random) -> tuple[int, int, int]:
    """The paint with every channel moved by at most ``most`` levels."""
    red, green, blue = (min(max(channel + rng.randint(-most, most), 0), 255) for channel in paint)
    return red, green, blue
