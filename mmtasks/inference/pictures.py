"""Pictures of results: contact sheets and attention maps."""

import math
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from mmtasks.data.images import exif_transpose, rgb
from mmtasks.errors import UserError
from mmtasks.layers import grid_shape

LARGE = 600
"""Pixels of a picture beyond which no drawing of it shows more."""
PICTURE, ABOVE, GAP = 1.7, 0.42, 0.1
"""Inches of a contact sheet at scale 1: a picture with the gap after it, the title and the line above it."""
Cell = tuple[Path | Image.Image, str]


def contact_sheet(
    rows: list[tuple[str, list[Cell]]], path: Path, *, columns: int = 6, scale: float = 1.0, shape: float = 1.0
) -> None:
    """Write a PNG of titled rows of pictures, each with a line above it.

    scale: of pictures and letters, at 1 about 130 pixels a picture; shape: height of a picture over its width.
    """
    from matplotlib.figure import Figure

    lines = [(title if start == 0 else "", cells[start : start + columns])
             for title, cells in rows for start in range(0, len(cells), columns)]  # fmt: skip
    width, height = PICTURE * scale, (PICTURE * shape + ABOVE) * scale
    across, down = width * max(len(cells) for _, cells in lines), height * len(lines)
    figure = Figure(figsize=(across, down), dpi=80)
    axes = figure.add_axes((0, 0, 1, 1))  # one for all, in inches: axes of their own take most of the time
    axes.set_axis_off()
    for line, (title, cells) in enumerate(lines):
        top = line * height
        axes.text(0, top + 0.12 * scale, title[:100], fontsize=8 * scale, weight="bold", va="center", parse_math=False)
        for column, (cell, caption) in enumerate(cells):
            picture = _small(cell, 220 * scale) if isinstance(cell, Path) else cell
            left, under = column * width, top + ABOVE * scale
            _within(axes, picture, left, under, width - GAP * scale, height - (ABOVE + GAP) * scale)
            middle = left + (width - GAP * scale) / 2
            axes.text(
                middle, under - 0.03 * scale, caption, fontsize=7 * scale, ha="center", va="bottom", parse_math=False
            )
    axes.set_xlim(0, across)
    axes.set_ylim(down, 0)
    _save(figure, path)


def _within(axes: Any, picture: Image.Image, left: float, top: float, width: float, height: float) -> None:
    """As large as fits under a line, in the middle of its column."""
    across = min(width, height * picture.width / picture.height)
    down = across * picture.height / picture.width
    start = left + (width - across) / 2
    axes.imshow(picture, extent=(start, start + across, top + down, top), aspect="auto")


def _small(path: Path, pixels: float) -> Image.Image:
    """The picture of a file, as it is to be seen, no larger than it will be drawn."""
    image = rgb(exif_transpose(Image.open(path)))
    image.thumbnail((round(pixels), round(pixels)))
    return image


def attention_figure(
    picture: Image.Image, words: list[str], attention: Tensor, seen: tuple[int, int], path: Path
) -> None:
    """Write a PNG of each word's attention over the picture.

    Args:
        picture: upright.
        words: a picture each.
        attention: (words, h * w of a grid, row-major), or one more that comes first: a class token, which is not shown.
        seen: (height, width) in pixels of what the model saw of the picture.
        path: the file to write.

    Raises:
        UserError: the tokens are no grid, or the PNG cannot be written.
    """
    from matplotlib.figure import Figure

    (rows, columns), attention = _places(attention, seen)
    picture = picture.convert("RGB")
    picture.thumbnail((LARGE, LARGE))
    count = min(len(words), len(attention))
    figure = Figure(figsize=(1.7 * min(count, 6), 1.9 * math.ceil(count / 6)), dpi=80)
    for number in range(count):
        axes = figure.add_subplot(math.ceil(count / 6), min(count, 6), number + 1)
        extent = (0, picture.width, picture.height, 0)
        axes.imshow(picture, extent=extent)
        grid = attention[number].reshape(rows, columns).numpy()
        axes.imshow(grid, cmap="magma", alpha=0.6, extent=extent, interpolation="bilinear")
        axes.set_axis_off()
        axes.set_title(words[number], fontsize=8, parse_math=False)
    _save(figure, path)


def check_picture(path: Path) -> None:
    """Complain of a file that no picture can be written to, before it is made.

    Raises:
        UserError: its name ends in no known format.
    """
    from matplotlib.backend_bases import FigureCanvasBase

    kinds = sorted(FigureCanvasBase.get_supported_filetypes())
    if path.suffix.lower().removeprefix(".") not in kinds:
        raise UserError(f"{path}: not the name of a picture; let it end in one of {', '.join(kinds)}")


def _places(attention: Tensor, seen: tuple[int, int]) -> tuple[tuple[int, int], Tensor]:
    """Rows and columns of the tokens, and the attention to them, without that to a class token in front."""
    count = attention.shape[1]
    try:
        return grid_shape(count, seen), attention
    except UserError:
        return grid_shape(count - 1, seen), attention[:, 1:]


def _save(figure, path: Path) -> None:  # type: ignore[no-untyped-def]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
