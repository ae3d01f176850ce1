"""Pictures of results: contact sheets and attention maps."""

import math
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor

from mmtasks.errors import UserError

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
            axes.imshow(Image.open(picture).convert("RGB") if isinstance(picture, Path) else picture)
            axes.set_axis_off()
            axes.set_title(caption, fontsize=7 * scale)
            if column == 0:
                _above(axes, title[:100], scale)
    _save(figure, path)


def attention_figure(picture: Image.Image, words: list[str], attention: Tensor, path: Path) -> None:
    """Write a PNG of each word's attention (words, h * w of a square grid) over the picture."""
    from matplotlib.figure import Figure

    side = math.isqrt(attention.shape[1])
    count = min(len(words), len(attention))
    figure = Figure(figsize=(1.7 * min(count, 6), 1.9 * math.ceil(count / 6)), dpi=80)
    for number in range(count):
        axes = figure.add_subplot(math.ceil(count / 6), min(count, 6), number + 1)
        grid = attention[number, : side * side].reshape(side, side).numpy()
        axes.imshow(picture.convert("RGB"), extent=(0, side, side, 0))
        axes.imshow(grid, cmap="magma", alpha=0.6, extent=(0, side, side, 0), interpolation="bilinear")
        axes.set_axis_off()
        axes.set_title(words[number], fontsize=8)
    _save(figure, path)


def _above(axes: Any, title: str, scale: float) -> None:
    """Over the line of a picture, whatever the picture's height."""
    place = {"xytext": (0, 17 * scale), "textcoords": "offset points"}
    axes.annotate(title, (0, 1), xycoords="axes fraction", fontsize=8 * scale, weight="bold", **place)


def _save(figure, path: Path) -> None:  # type: ignore[no-untyped-def]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another path") from None
