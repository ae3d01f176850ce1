"""Still pictures of a video at moments of choice."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmtasks.data.video_seek import at_moments
from mmtasks.inference.pictures import contact_sheet

MOST = 30
"""Pictures on a storyboard; of more moments every so many are shown."""
COLUMNS = 5
WIDTH = 320
"""Pixels of a picture, before it is drawn smaller on the sheet."""


def storyboard(path: Path, moments: Sequence[float], output: Path, *, title: str = "") -> None:
    """Write a PNG of the pictures that a file shows at these seconds, each with its time.

    Raises:
        ValueError: there are no moments.
        UserError: a picture cannot be decoded, or the PNG cannot be written.
    """
    if not len(moments):
        raise ValueError(f"moments {list(moments)} must be at least one, in seconds")
    shown = [
        moments[i] for i in np.unique(np.linspace(0, len(moments) - 1, min(len(moments), MOST)).round().astype(int))
    ]
    pictures = [Image.fromarray(pixels) for pixels in at_moments(path, shown, width=WIDTH)]
    cells = list(zip(pictures, map(clock, shown), strict=True))
    shape = pictures[0].height / pictures[0].width
    contact_sheet([(title or path.name, list(cells))], output, columns=min(COLUMNS, len(cells)), scale=2, shape=shape)


def clock(seconds: float) -> str:
    """Minutes and whole seconds, as players show them, with hours where there are some.

    >>> clock(42.9), clock(3725)
    ('0:42', '1:02:05')
    """
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours}:{minute:02d}:{second:02d}" if hours else f"{minute}:{second:02d}"
