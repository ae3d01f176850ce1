"""Frames of films: flat shapes on a grey ground that changes with every cut, drawn larger and averaged down."""

import math
import random

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from mmtasks.data.films.world import Actor, Event, Film, Shot
from mmtasks.data.scenes.render import PAINT, RADIUS, Point, draw_shape, shade

OVERSAMPLING = 3
GROUNDS = (85, 175)
"""Darkest and lightest ground."""
CUT = 30
"""Least difference of the ground before and after a cut."""
MARKS = {
    "collision": (255, 245, 190),
    "appearance": (90, 235, 235),
    "departure": (255, 105, 190),
    "colour change": (170, 255, 70),
}
"""What shows that something happens, in colours that no shape has: a small network learns them within a minute."""

Colour = tuple[int, int, int]


def render(film: Film, *, size: int = 48, seed: int = 0) -> Tensor:
    """Draw a film: (T, 3, size, size) float32 in [0, 1]; the same film and seed give the same pixels.

    ``seed`` draws grounds and shades. ValueError for a size below 16.
    """
    if size < 16:
        raise ValueError(f"size must be at least 16, got {size}")
    rng = random.Random(seed)
    frames = np.empty((film.n_frames, size, size, 3), np.uint8)
    ground = rng.randint(*GROUNDS)
    for shot in film.shots:
        paints = {colour: shade(PAINT[colour], 12, rng) for colour in film.colours}
        fill = shade((ground, ground, ground), 5, rng)
        for frame in range(shot.first, shot.last + 1):
            image = Image.new("RGB", (size * OVERSAMPLING, size * OVERSAMPLING), fill)
            _draw_frame(ImageDraw.Draw(image), shot, frame, paints, size * OVERSAMPLING)
            frames[frame] = np.asarray(image.reduce(OVERSAMPLING))
        ground = rng.choice([g for g in range(GROUNDS[0], GROUNDS[1] + 1) if abs(g - ground) >= CUT])
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float().div_(255)


def _draw_frame(draw: ImageDraw.ImageDraw, shot: Shot, frame: int, paints: dict[str, Colour], side: int) -> None:
    event = shot.event
    for index, actor in enumerate(shot.actors):
        x, y = actor.path[frame - shot.first]
        middle, radius = (x * side, y * side), RADIUS[actor.size] * side
        if event and index == event.actor and event.kind != "collision":
            _draw_changing(draw, actor, event, frame, middle, radius, paints)
        else:
            draw_shape(draw, actor.shape, middle, radius, paints[actor.colour])
    if event and event.kind == "collision" and event.first <= frame <= event.last:
        _draw_spark(draw, (event.place[0] * side, event.place[1] * side), 0.22 * side * (1 - 0.6 * _done(event, frame)))


def _draw_changing(
    draw: ImageDraw.ImageDraw,
    actor: Actor,
    event: Event,
    frame: int,
    middle: Point,
    radius: float,
    paints: dict[str, Colour],
) -> None:
    """The actor that grows, shrinks away, or whose new colour grows out of the old one's middle."""
    done = _done(event, frame)
    old, new = paints[actor.colour], paints.get(event.becomes, paints[actor.colour])
    if 0 < done < 1:
        _draw_mark(draw, event.kind, middle, radius)
    if event.kind == "colour change":
        parts = [(old, 1.0), (new, done)]
    else:
        parts = [(old, done if event.kind == "appearance" else 1 - done)]
    for fill, scale in parts:
        if scale > 0:
            draw_shape(draw, actor.shape, middle, radius * scale, fill)


def _done(event: Event, frame: int) -> float:
    """How much of an event has happened: 0 before it, 1 after it, between them during it."""
    return min(max((frame - event.first + 1) / (event.last - event.first + 2), 0), 1)


def _draw_mark(draw: ImageDraw.ImageDraw, kind: str, middle: Point, radius: float) -> None:
    """A ring around what comes or goes, or a splash of paint behind what changes its colour."""
    (x, y), r = middle, 1.3 * radius
    box = x - r, y - r, x + r, y + r
    if kind == "colour change":
        draw.ellipse(box, fill=MARKS[kind])
    else:
        draw.ellipse(box, outline=MARKS[kind], width=max(round(radius / 4), 2))


def _draw_spark(draw: ImageDraw.ImageDraw, middle: Point, radius: float) -> None:
    """A star of eight rays where two shapes hit."""
    rays = [(radius * (0.35 if k % 2 else 1), math.pi * k / 8) for k in range(16)]
    draw.polygon([(middle[0] + r * math.sin(a), middle[1] - r * math.cos(a)) for r, a in rays], fill=MARKS["collision"])
