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
Cell = tuple[Path | Image.Image, str]


def contact_sheet(
    rows: list[tuple[str, list[Cell]]], path: Path, *, columns: int = 6, scale: float = 1.0, shape: float = 1.0
) -> None:
    """Write a PNG of titled rows of pictures, each with a line above it.

    scale: of pictures and letters, at 1 about 110 pixels a picture; shape: height of a picture over its width.
    """
    from matplotlib.figure import Figure

    lines = [(title if start == 0 else "", cells[start : start + columns])
             for title, cells in rows for start in range(0, len(cells), columns)]  # fmt: skip
    width, height = 1.7 * scale, (1.7 * shape + 0.4) * scale
    figure = Figure(figsize=(width * columns, height * len(lines)), dpi=80)
    for number, (title, cells) in enumerate(lines):
        for column, (picture, caption) in enumerate(cells):
            axes = figure.add_subplot(len(lines), columns, number * columns + column + 1)
            axes.imshow(_small(picture, 220 * scale) if isinstance(picture, Path) else picture)
            axes.set_axis_off()
            axes.set_title(caption, fontsize=7 * scale, parse_math=False)
            if column == 0:
                _above(axes, title[:100], scale)
    _save(figure, path)


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


def _above(axes: Any, title: str, scale: float) -> None:
    """Over the line of a picture, whatever the picture's height."""
    place = {"xytext": (0, 17 * scale), "textcoords": "offset points"}
    axes.annotate(title, (0, 1), xycoords="axes fraction", fontsize=8 * scale, weight="bold", parse_math=False, **place)


def _save(figure, path: Path) -> None:  # type: ignore[no-untyped-def]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
