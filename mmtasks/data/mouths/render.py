"""A mouth as pixels: lips around a dark opening, with teeth above and a tongue below, edges smooth."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from mmtasks.data.mouths.face import Camera, Colour, Face

SMALLEST = 8
DARK, TEETH, TONGUE = (0.12, 0.04, 0.05), (0.95, 0.93, 0.88), (0.8, 0.38, 0.4)
SWAY = 1.3
"""Seconds in which a mouth wanders once around its place."""
ASPECT = 1.5
"""Width over height of a picture that mouths fill."""
UPPER, LOWER = 0.35, 0.65
"""How much of the opening is above the line where the lips meet, and below it: the jaw moves more."""


class _Canvas(NamedTuple):
    """x, y: middles of the pixels (T, H, W), to the right of the mouth's and below it; pixel: a pixel's side."""

    x: Tensor
    y: Tensor
    pixel: float

    def ellipse(self, span: Tensor, above: Tensor, below: Tensor) -> Tensor:
        """How much of each pixel is within half axes (T, 1, 1), ``span`` to both sides: (T, H, W), 0 to 1."""
        arc = (1 - (self.x / span).square()).clamp(min=0).sqrt()
        return self._rows(-above * arc, below * arc)

    def above(self, line: Tensor) -> Tensor:
        """How much of each pixel is above a height (T, 1, 1): (T, H, W), 0 to 1."""
        return self._rows(torch.full_like(line, -10), line)

    def _rows(self, top: Tensor, bottom: Tensor) -> Tensor:
        covered = torch.minimum(self.y + self.pixel / 2, bottom) - torch.maximum(self.y - self.pixel / 2, top)
        return (covered / self.pixel).clamp(0, 1)


def render(
    shapes: Tensor, seconds: Tensor, face: Face, camera: Camera, *, size: tuple[int, int] = (16, 24), seed: int = 0
) -> Tensor:
    """Film a mouth: shapes (T, 4) as ``move`` gives them, at the times (T,) -> (T, 3, height, width) in [0, 1].

    ``seed`` draws the grain. ValueError for a side below 8 pixels.

    >>> import random
    >>> from mmtasks.data.mouths.face import draw_camera, draw_face
    >>> rng = random.Random(0)
    >>> render(torch.rand(5, 4), torch.arange(5) / 25, draw_face(rng), draw_camera(rng), size=(16, 24)).shape
    torch.Size([5, 3, 16, 24])
    """
    if min(size) < SMALLEST:
        raise ValueError(f"size {list(size)} must be at least {SMALLEST} pixels a side")
    opening, width, teeth, tongue = shapes.T[:, :, None, None]
    canvas = _canvas(seconds, camera, size)
    span, part = face.span * (0.5 + width), face.drop * opening
    lips = canvas.ellipse(span, face.upper + UPPER * part, face.lower + LOWER * part)
    inside = canvas.ellipse(0.8 * span, UPPER * part, LOWER * part)
    picture = torch.tensor(face.skin)[None, :, None, None].expand(len(shapes), 3, *size)
    for colour, where in (
        (face.lips, lips),
        (DARK, inside),
        (TONGUE, inside * (1 - canvas.above(part * (LOWER - 0.8 * tongue)))),
        (TEETH, inside * canvas.above(part * (0.7 * teeth - UPPER)) * teeth.clamp(max=0.5) * 2),
    ):
        picture = _paint(picture, colour, where)
    grain = torch.randn(picture.shape, generator=torch.Generator().manual_seed(seed))
    return (picture * camera.light + camera.grain * grain).clamp(0, 1)


def _canvas(seconds: Tensor, camera: Camera, size: tuple[int, int]) -> _Canvas:
    turn = 2 * math.pi * seconds / SWAY
    middle_x, middle_y = camera.x + camera.drift * turn.sin(), camera.y + camera.drift * (0.7 * turn).cos()
    unit = min(size[0], size[1] / ASPECT) / 2  # pixels
    rows, columns = ((torch.arange(side) + 0.5 - side / 2) / unit for side in size)
    x = (columns - middle_x[:, None]) / camera.zoom  # [T, W]
    y = (rows - middle_y[:, None]) / camera.zoom  # [T, H]
    shape = len(seconds), *size
    return _Canvas(x[:, None, :].expand(shape), y[:, :, None].expand(shape), 1 / (unit * camera.zoom))


def _paint(picture: Tensor, colour: Colour, where: Tensor) -> Tensor:
    """picture (T, 3, H, W), where (T, H, W): 0 leaves it as it is, 1 covers it."""
    return picture + (torch.tensor(colour)[None, :, None, None] - picture) * where[:, None]
