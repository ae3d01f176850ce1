"""Pictures of a summary: a storyboard and a timeline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("av")

from mmtasks.data.video_seek import at_moments
from mmtasks.errors import UserError
from mmtasks.inference import storyboard as board
from mmtasks.inference.storyboard import Stills, clock, storyboard
from mmtasks.inference.summary_cut import cut
from mmtasks.inference.timeline import timeline
from tests.clips import grey, write_clip


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list:
    """What is handed to the contact sheet: rows of a title and cells."""
    rows: list = []
    monkeypatch.setattr(board, "contact_sheet", lambda given, path, **options: rows.extend(given))
    return rows


def test_a_storyboard_has_a_picture_and_its_time_for_each_moment(tmp_path: Path, drawn: list) -> None:
    source = write_clip(tmp_path / "a.mp4", grey(range(0, 250, 5)))
    storyboard(source, [0.5, 2.0, 4.5], tmp_path / "b.png", title="a film")
    [(title, cells)] = drawn
    assert title == "a film"
    assert [caption for _, caption in cells] == ["0:00", "0:02", "0:04"]
    np.testing.assert_allclose([np.asarray(picture).mean() for picture, _ in cells], [25, 100, 225], atol=4)


def test_moments_that_pass_by_are_caught_and_the_others_looked_up(
    tmp_path: Path, drawn: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_clip(tmp_path / "a.mp4", grey(range(0, 250, 5)))
    stills = Stills([0.5, 2.0, 4.5])
    passed: list[tuple[float, float]] = []

    def watch(frame: Any, start: float, end: float) -> None:
        passed.append((start, end))
        stills.catch(frame, start, end)

    cut(source, [(1.5, 3.0)], tmp_path / "s.mp4", watch=watch)
    assert (passed[0][0], passed[-1][1]) == pytest.approx((1.5, 3.0))
    looked_up: list[float] = []

    def look_up(path: Path, moments: list[float], *, width: int) -> Iterator[np.ndarray]:
        looked_up.extend(moments)
        return at_moments(path, moments, width=width)

    monkeypatch.setattr(board, "at_moments", look_up)
    storyboard(source, stills, tmp_path / "b.png")
    assert looked_up == [0.5, 4.5]
    np.testing.assert_allclose([np.asarray(picture).mean() for picture, _ in drawn[0][1]], [25, 100, 225], atol=4)


def test_of_many_moments_some_are_shown_evenly(tmp_path: Path, drawn: list) -> None:
    source = write_clip(tmp_path / "a.mp4", grey([50] * 10))
    storyboard(source, np.linspace(0, 0.9, 101).tolist(), tmp_path / "b.png")
    assert len(drawn[0][1]) == board.MOST


def test_the_pictures_are_files(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", grey(range(0, 250, 5)))
    storyboard(source, [0.5 * k for k in range(9)], tmp_path / "board.png", title="a film")
    with Image.open(tmp_path / "board.png") as picture:
        assert picture.height > 1.5 * 80 and picture.width > 400


def test_a_timeline_shades_what_is_chosen(tmp_path: Path) -> None:
    line = np.linspace(0, 1, 20)
    timeline(line, 5 * line, [(0, 2.5), (2.5, 5)], [1], tmp_path / "line.png")
    with Image.open(tmp_path / "line.png") as picture:
        shaded = np.asarray(picture.convert("RGB")).astype(int)
    middle = shaded[shaded.shape[0] // 3]
    orange = (middle[:, 0] - middle[:, 2] > 40).nonzero()[0]
    assert orange.min() > 0.45 * shaded.shape[1]


def test_what_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    source = write_clip(tmp_path / "a.mp4", grey([50] * 3))
    with pytest.raises(UserError, match=r"b\.png: cannot be written"):
        storyboard(source, [0.1], tmp_path / "file" / "b.png")
    with pytest.raises(UserError, match=r"b\.png: cannot be written"):
        timeline(np.ones(2), np.arange(2), [(0.0, 2.0)], [0], tmp_path / "file" / "b.png")


def test_a_storyboard_of_nothing_is_refused(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", grey([50] * 3))
    with pytest.raises(ValueError, match=r"moments \[\] must be at least one"):
        storyboard(source, [], tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


@pytest.mark.parametrize(
    ("steps", "shots", "chosen", "message"),
    [
        (3, [(0.0, 2.0)], [0], "2 scores and 3 seconds"),
        (2, [], [], r"shots \[\]"),
        (2, [(0.0, 1.0), (1.0, 2.0)], [0, 2, -1], r"chosen \[-1, 2\] must be among the shots 0 to 1"),
    ],
)
def test_a_timeline_needs_what_fits_together(
    tmp_path: Path, steps: int, shots: list[tuple[float, float]], chosen: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        timeline(np.ones(2), np.arange(steps), shots, chosen, tmp_path / "line.png")
    assert not (tmp_path / "line.png").exists()


@pytest.mark.parametrize(("seconds", "told"), [(42.4, "0:42"), (59.7, "0:59"), (61, "1:01"), (3725, "1:02:05")])
def test_clock(seconds: float, told: str) -> None:
    assert clock(seconds) == told
