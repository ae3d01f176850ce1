"""Frames from any time on, and single pictures."""

from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from mmtasks.data.video_seek import Track, at_moments  # noqa: E402
from mmtasks.errors import UserError  # noqa: E402
from tests.clips import grey, write_clip  # noqa: E402


def shown(path: Path, moments: list[float]) -> list[float]:
    return [float(image.mean()) for image in at_moments(path, moments, width=32)]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_moments_show_what_the_video_shows_then(tmp_path: Path, name: str) -> None:
    codec = "mpeg4" if name == "a.avi" else "libx264"
    source = write_clip(tmp_path / name, grey([*range(0, 250, 25)] * 5), codec=codec)
    np.testing.assert_allclose(shown(source, [3.3, 0.0, 1.25, 4.9, 9.0]), [75, 0, 50, 225, 225], atol=8)


def test_moments_count_from_the_first_frame(tmp_path: Path) -> None:
    times = [3000 + 100 * k for k in range(50)]
    source = write_clip(tmp_path / "a.mkv", grey(range(0, 250, 5)), times=times)
    np.testing.assert_allclose(shown(source, [3.0, 0.0, 1.25]), [150, 0, 60], atol=4)


def test_pictures_are_upright_and_keep_their_shape(tmp_path: Path) -> None:
    image = grey([40])[0]
    image[:24] = 240
    source = write_clip(tmp_path / "a.mp4", [image] * 3, rotation=90)
    [picture] = at_moments(source, [0.1], width=24)
    assert picture.shape == (32, 24, 3)
    assert picture[:, :8].mean() > 230 and picture[:, -8:].mean() < 50


def test_a_track_begins_before_the_wanted_time_and_not_much_earlier(tmp_path: Path) -> None:
    with Track(write_clip(tmp_path / "a.mp4", grey([50] * 100))) as track:
        for start in (7.35, 2.0, 0.0, 9.9):
            times = [seconds for seconds, _ in track.frames(start)]
            assert start - 2 - 1e-6 <= times[0] <= start + 1e-6
            np.testing.assert_allclose(np.diff(times), 0.1, atol=1e-3)
            assert times[-1] == pytest.approx(9.9, abs=1e-3)


def test_where_a_seek_ends_too_late_an_earlier_one_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = []
    seek = Track._from

    def late(self, seconds):
        wanted.append(seconds)
        return seek(self, seconds + 3)

    monkeypatch.setattr(Track, "_from", late)
    with Track(write_clip(tmp_path / "a.mp4", grey([50] * 200))) as track:
        first, _ = next(track.frames(15.1))
        assert first <= 15.1 and len(wanted) > 1
        assert next(track.frames(1.0))[0] == 0  # in the end from the beginning


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_text("hello")
    with pytest.raises(UserError, match=r"a\.mp4: not a video"):
        Track(tmp_path / "a.mp4")
    source = write_clip(tmp_path / "b.mkv", grey([50] * 3), codec="ffv1")
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3].replace(b"\xa3", b"\x00"))
    with pytest.raises(UserError, match=r"b\.mkv: "):
        shown(source, [0.1])
