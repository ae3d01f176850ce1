"""Pictures are drawn as a person sees them, attention where the model looked."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from PIL import Image

from mmtasks.errors import UserError
from mmtasks.inference.pictures import attention_figure, contact_sheet


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[np.ndarray]:
    """What is drawn, in order."""
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(Axes, "imshow", lambda self, image, **options: drawn.append(np.asarray(image)))
    return drawn


@pytest.mark.parametrize(
    ("tokens", "seen", "shape"), [(16, (64, 64), (4, 4)), (17, (64, 64), (4, 4)), (16, (32, 128), (2, 8))]
)
def test_attention_lies_on_the_grid_that_the_model_saw(
    tokens: int, seen: tuple[int, int], shape: tuple[int, int], shown: list, tmp_path: Path
) -> None:
    attention = torch.arange(float(tokens))[None]
    attention_figure(Image.new("RGB", (40, 20)), ["word"], attention, seen, tmp_path / "a.png")
    _, grid = shown
    assert grid.shape == shape
    assert grid.flatten().tolist() == list(range(tokens))[-16:]  # without the class token in front


def test_tokens_that_are_no_grid_are_not_drawn_anywhere(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no grid"):
        attention_figure(Image.new("RGB", (8, 8)), ["word"], torch.zeros(1, 23), (64, 64), tmp_path / "a.png")


def test_a_picture_is_shown_as_its_camera_was_held(shown: list, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (40, 20)).save(tmp_path / "turned.jpg", exif=exif)
    contact_sheet([("a title of $^$", [(tmp_path / "turned.jpg", "")])], tmp_path / "sheet.png")
    assert shown[0].shape == (40, 20, 3)


def test_a_sheet_is_no_wider_than_its_longest_line(tmp_path: Path) -> None:
    cell = (Image.new("RGB", (40, 20)), "")
    for count in (1, 2):
        contact_sheet([("a", [cell] * count), ("b", [cell])], tmp_path / f"{count}.png")
    one, two = (Image.open(tmp_path / f"{count}.png").width for count in (1, 2))
    assert 1.7 * one < two < 2.3 * one
