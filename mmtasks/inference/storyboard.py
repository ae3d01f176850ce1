"""Still pictures of a video at moments of choice."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmtasks.data.video_seek import EARLY, at_moments, narrowed
from mmtasks.inference.pictures import contact_sheet

MOST = 30
"""Pictures on a storyboard; of more moments every so many are shown."""
COLUMNS = 5
WIDTH = 320
"""Pixels of a picture, before it is drawn smaller on the sheet."""


class Stills:
    """What a video shows at moments, caught while its frames pass by for another reason, or looked up.

    Args:
        moments: in seconds from the first frame; of more than ``MOST`` every so many are taken.

    Raises:
        ValueError: there are no moments.
    """

    def __init__(self, moments: Sequence[float]) -> None:
        if not len(moments):
            raise ValueError(f"moments {list(moments)} must be at least one, in seconds")
        chosen = np.unique(np.linspace(0, len(moments) - 1, min(len(moments), MOST)).round().astype(int))
        self.moments = [float(moments[i]) for i in chosen]
        self._caught: dict[float, np.ndarray] = {}

    def catch(self, frame: Any, start: float, end: float) -> None:
        """A frame that the video shows from ``start`` to ``end``, in seconds."""
        within = [m for m in self.moments if start - EARLY <= m < end - EARLY and m not in self._caught]
        self._caught |= dict.fromkeys(within, narrowed(frame, WIDTH)) if within else {}

    def pictures(self, path: str | Path) -> list[np.ndarray]:
        """(H, W, 3) uint8 of each moment; those that did not pass by are decoded.

        Raises:
            UserError: a picture cannot be decoded.
        """
        missing = [m for m in self.moments if m not in self._caught]
        self._caught |= zip(missing, at_moments(path, missing, width=WIDTH), strict=True)
        return [self._caught[m] for m in self.moments]


def storyboard(path: Path, moments: Sequence[float] | Stills, output: Path, *, title: str = "") -> None:
    """Write a PNG of the pictures that a file shows at these seconds, each with its time.

    Raises:
        ValueError: there are no moments.
        UserError: a picture cannot be decoded, or the PNG cannot be written.
    """
    stills = moments if isinstance(moments, Stills) else Stills(moments)
    pictures = [Image.fromarray(pixels) for pixels in stills.pictures(path)]
    cells = list(zip(pictures, map(clock, stills.moments), strict=True))
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
