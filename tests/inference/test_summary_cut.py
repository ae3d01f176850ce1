"""Cutting a summary: pictures and sound in step, of the right length, whatever the file is like."""

import gc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

from mmtasks.data import video_seek  # noqa: E402
from mmtasks.data.video import probe  # noqa: E402
from mmtasks.errors import UserError  # noqa: E402
from mmtasks.inference import summary_pictures  # noqa: E402
from mmtasks.inference.summary_cut import cut  # noqa: E402
from tests.clips import grey, write_clip  # noqa: E402
from tests.flashes import FLASHES, FPS, RATE, SEGMENTS, beeps, flashes, heard, lengths, moved, seen, write_flashes  # noqa: E402


def picture(path: Path, moment: float, width: int = 64) -> np.ndarray:
    return next(video_seek.at_moments(path, [moment], width=width)).astype(int)


def test_flashes_and_beeps_stay_together(tmp_path: Path) -> None:
    cut(write_flashes(tmp_path / "a.mp4"), SEGMENTS, tmp_path / "s.mp4")
    expected = moved(FLASHES)
    assert len(expected) == 8
    np.testing.assert_allclose(flashes(tmp_path / "s.mp4"), expected, atol=1e-3)
    np.testing.assert_allclose(beeps(tmp_path / "s.mp4"), expected, atol=4e-3)


@pytest.mark.parametrize(
    ("name", "sound", "late"), [("a.mkv", "flac", 1.48), ("a.mkv", "aac", 0), ("a.ts", "mp2", 2), ("a.mov", "aac", 0.4)]
)
def test_whatever_the_container_and_its_clock(tmp_path: Path, name: str, sound: str, late: float) -> None:
    cut(write_flashes(tmp_path / name, sound=sound, late=late), SEGMENTS, tmp_path / "s.mp4")
    together = np.array(beeps(tmp_path / "s.mp4")) - flashes(tmp_path / "s.mp4")
    np.testing.assert_allclose(flashes(tmp_path / "s.mp4"), moved(FLASHES), atol=2e-3)
    assert np.abs(together).max() < 0.04 if sound == "mp2" else np.abs(together).max() < 4e-3


@pytest.mark.parametrize(
    ("sound", "rate", "layout", "as_rate", "channels"),
    [
        ("aac", 44_100, "stereo", 44_100, 2),
        ("pcm_s16le", 48_000, "5.1", 48_000, 6),
        ("pcm_s16le", 37_800, "mono", 48_000, 1),
        ("pcm_s24le", 192_000, "quad", 48_000, 2),
    ],
)
def test_sound_keeps_its_rate_and_channels_where_aac_can(
    tmp_path: Path, sound: str, rate: int, layout: str, as_rate: int, channels: int
) -> None:
    source = write_flashes(tmp_path / "a.mkv", sound=sound, rate=rate, layout=layout, seconds=4.4)
    cut(source, SEGMENTS, tmp_path / "s.mp4")
    with av.open(str(tmp_path / "s.mp4")) as file:
        assert (file.streams.audio[0].rate, file.streams.audio[0].channels) == (as_rate, channels)
    np.testing.assert_allclose(beeps(tmp_path / "s.mp4"), moved(FLASHES), atol=4e-3)


def test_sound_that_begins_late_is_silence_before(tmp_path: Path) -> None:
    cut(write_flashes(tmp_path / "a.mkv", sound="flac", sound_from=2.0), SEGMENTS, tmp_path / "s.mp4")
    np.testing.assert_allclose(beeps(tmp_path / "s.mp4"), moved([f for f in FLASHES if f >= 2]), atol=4e-3)


def test_it_is_as_long_as_the_segments(tmp_path: Path) -> None:
    cut(write_flashes(tmp_path / "a.mp4"), SEGMENTS, tmp_path / "s.mp4")
    length = sum(end - start for start, end in SEGMENTS)
    times, _ = seen(tmp_path / "s.mp4")
    assert times[0] == 0
    np.testing.assert_allclose(np.diff(times), 1 / FPS, atol=1e-4)
    assert len(times) == round(length * FPS)
    whole = pytest.approx(length, abs=1e-3)
    assert lengths(tmp_path / "s.mp4") == {"video": whole, "audio": pytest.approx(length, abs=0.07), "file": whole}
    samples, start, rate = heard(tmp_path / "s.mp4")
    assert (start, rate) == (0, RATE)
    assert length * rate <= len(samples) <= length * rate + 1024


def test_frames_that_are_written_are_let_go(tmp_path: Path) -> None:
    import av

    def frames() -> int:
        return sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())

    write_clip(tmp_path / "long.mp4", grey(range(100)))
    gc.collect()
    gc.disable()  # memory must not wait for it
    try:
        before = frames()
        cut(tmp_path / "long.mp4", [(0.0, 8.0)], tmp_path / "short.mp4")
        assert frames() - before < 10
    finally:
        gc.enable()


def test_no_error_adds_up_over_many_cuts(tmp_path: Path) -> None:
    source = write_flashes(tmp_path / "a.mkv", sound="flac", seconds=5)
    segments = [(k / 7, k / 7 + 0.100031) for k in range(33)]  # 1,600.496 samples each
    cut(source, segments, tmp_path / "s.mp4")
    samples, _, rate = heard(tmp_path / "s.mp4")
    assert 0 <= len(samples) - round(33 * 0.100031 * rate) <= 1024


def test_what_is_far_away_is_not_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = []
    decode = video_seek._of_packet

    def counted(*given: Any) -> list[Any]:
        found = decode(*given)
        decoded.extend(found)
        return found

    monkeypatch.setattr(video_seek, "_of_packet", counted)
    path = write_clip(tmp_path / "a.mp4", grey([50] * 200), options={})
    cut(path, [(15.0, 15.5), (18, 18.2)], tmp_path / "s.mp4")
    assert len(seen(tmp_path / "s.mp4")[0]) == 7
    assert len(decoded) < 60


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rates_keep_their_times(tmp_path: Path, name: str) -> None:
    times = [0, 100, 130, 400, 460, 500, 1300, 1310, 1350, 1800]
    path = write_clip(tmp_path / name, grey(range(20, 220, 20)), times=times)
    cut(path, [(0.1, 0.46), (0.5, 1.35)], tmp_path / "s.mp4")
    found, levels = seen(tmp_path / "s.mp4")
    np.testing.assert_allclose(found, [0, 0.03, 0.3, 0.36, 1.16, 1.17], atol=2e-3)
    np.testing.assert_allclose(levels, [40, 60, 80, 120, 140, 160], atol=3)
    assert lengths(tmp_path / "s.mp4")["video"] == pytest.approx(1.21, abs=2e-3)


def test_a_frame_that_stands_for_long_is_shown(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", grey([20, 100, 200]), times=[0, 1000, 5000])
    cut(path, [(2, 3), (4.5, 5.05)], tmp_path / "s.mp4")
    times, levels = seen(tmp_path / "s.mp4")
    np.testing.assert_allclose(times, [0, 1, 1.5], atol=2e-3)
    np.testing.assert_allclose(levels, [100, 100, 200], atol=3)


@pytest.mark.parametrize("sound", [True, False])
def test_a_video_without_sound_gets_none(tmp_path: Path, sound: bool) -> None:
    cut(write_clip(tmp_path / "a.mp4", grey([50] * 10), sound=sound), [(0.2, 0.6)], tmp_path / "s.mp4")
    assert probe(tmp_path / "s.mp4").has_sound == sound


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_size_and_rotation_stay(tmp_path: Path, rotation: int) -> None:
    image = grey([40])[0]
    image[:24, :32] = 240
    source = write_clip(tmp_path / "a.mp4", [image] * 10, rotation=rotation)
    cut(source, [(0.2, 0.6)], tmp_path / "s.mp4")
    before, after = probe(source), probe(tmp_path / "s.mp4")
    assert (before.width, before.height, before.rotation) == (after.width, after.height, after.rotation)
    assert np.abs(picture(source, 0.3) - picture(tmp_path / "s.mp4", 0.3)).mean() < 3


@pytest.mark.parametrize(("height", "width"), [(47, 63), (48, 61), (1, 1)])
def test_odd_sides_lose_nothing(tmp_path: Path, height: int, width: int) -> None:
    images = [np.random.default_rng(k).integers(0, 255, (height, width, 3), dtype=np.uint8) for k in range(6)]
    source = write_clip(tmp_path / "a.mkv", images, codec="ffv1")
    cut(source, [(0.1, 0.5)], tmp_path / "s.mp4")
    with av.open(str(source)) as one, av.open(str(tmp_path / "s.mp4")) as other:
        expected = [frame.to_ndarray(format="gray") for frame in one.decode(video=0)][1]
        found = next(other.decode(video=0)).to_ndarray(format="gray")
    assert found.shape == (height + height % 2, width + width % 2)
    assert np.abs(found[:height, :width].astype(int) - expected).mean() < 6


@pytest.mark.parametrize(("space", "span"), [("ITU709", "MPEG"), ("ITU709", "JPEG"), ("ITU601", "MPEG")])
def test_colours_stay(tmp_path: Path, space: str, span: str) -> None:
    from av.video.reformatter import ColorRange, Colorspace

    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.colorspace = Colorspace[space].value
        stream.codec_context.color_range = ColorRange[span].value
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.colorspace, frame.color_range = Colorspace[space].value, ColorRange[span].value
        for plane, level in zip(frame.planes, (180, 60, 200), strict=True):
            plane.update(bytes([level]) * plane.buffer_size)
        for k in range(5):
            frame.pts = k
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    cut(tmp_path / "a.mp4", [(0, 0.4)], tmp_path / "s.mp4")
    np.testing.assert_allclose(*(picture(tmp_path / name, 0.1, 8)[0, 0] for name in ("a.mp4", "s.mp4")), atol=4)


def test_rgb_is_told_to_be_what_it_became(tmp_path: Path) -> None:
    if "libx264rgb" not in av.codecs_available:
        pytest.skip("no encoder libx264rgb")
    with av.open(str(tmp_path / "a.mp4"), "w") as file:
        stream = file.add_stream("libx264rgb", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24"
        image = np.tile(np.array([200, 60, 20], dtype=np.uint8), (48, 64, 1))
        for _ in range(5):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(stream.encode())
    cut(tmp_path / "a.mp4", [(0, 0.4)], tmp_path / "s.mp4")
    with av.open(str(tmp_path / "s.mp4")) as file:
        frame = next(file.decode(video=0))
    assert frame.format.name == "yuv420p"
    assert frame.colorspace in (5, 6)  # both names of ITU-R BT.601
    np.testing.assert_allclose(picture(tmp_path / "s.mp4", 0.1, 8)[0, 0], (200, 60, 20), atol=4)


def test_without_x264_another_encoder_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(summary_pictures.CODECS, "libx264")
    image = np.random.default_rng(0).integers(0, 255, (12, 16, 3), dtype=np.uint8).repeat(4, axis=0).repeat(4, axis=1)
    source = write_clip(tmp_path / "a.mp4", [image] * 20)
    cut(source, [(0.2, 0.6), (1.0, 1.3)], tmp_path / "s.mp4")
    with av.open(str(tmp_path / "s.mp4")) as file:
        assert file.streams.video[0].codec_context.name == "mpeg4"
    np.testing.assert_allclose(seen(tmp_path / "s.mp4")[0], np.arange(7) / 10, atol=1e-3)
    assert np.abs(picture(source, 0.3) - picture(tmp_path / "s.mp4", 0.3)).mean() < 6


def test_segments_reach_no_further_than_the_video(tmp_path: Path) -> None:
    cut(write_flashes(tmp_path / "a.mp4"), [(4.0, 9.0), (20, 21)], tmp_path / "s.mp4")
    for length in lengths(tmp_path / "s.mp4").values():
        assert length == pytest.approx(1, abs=0.1)


def test_damage_is_left_out(tmp_path: Path) -> None:
    source = write_flashes(tmp_path / "a.ts", sound="mp2")
    data = bytearray(source.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle + 4 : middle + 184] = bytes(180)
    source.write_bytes(data[: len(data) * 9 // 10])
    cut(source, SEGMENTS, tmp_path / "s.mp4")
    together = [min(abs(beep - flash) for flash in flashes(tmp_path / "s.mp4")) for beep in beeps(tmp_path / "s.mp4")]
    assert len(together) >= 4 and max(together) < 0.04


def test_pictures_without_times_are_counted(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.h264"), "w", format="h264") as file:
        stream = file.add_stream("libx264", rate=25, options={"bf": "0"})
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        for image in grey(range(0, 200, 4)):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(stream.encode())
    cut(tmp_path / "a.h264", [(0.4, 0.6), (1.2, 1.4)], tmp_path / "s.mp4")
    _, levels = seen(tmp_path / "s.mp4")
    np.testing.assert_allclose(levels, [40, 44, 48, 52, 56, 120, 124, 128, 132, 136], atol=3)


def test_progress_and_nothing_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, told = write_flashes(tmp_path / "a.mp4"), []
    cut(source, SEGMENTS, tmp_path / "s.mp4", progress=told.append)
    assert told == sorted(told) and told[-1] == pytest.approx(2.36, abs=0.01)
    whole = (tmp_path / "s.mp4").read_bytes()

    def stop(seconds: float) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut(source, SEGMENTS, tmp_path / "s.mp4", progress=stop)
    assert (tmp_path / "s.mp4").read_bytes() == whole
    assert {path.name for path in tmp_path.iterdir()} == {"a.mp4", "s.mp4"}


def test_bad_input(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", grey([50] * 10))
    for segments in ([], [(1, 1)], [(0.5, 0.8), (0.2, 0.4)], [(-1, 1)]):
        with pytest.raises(ValueError, match="segments"):
            cut(source, segments, tmp_path / "s.mp4")
    (tmp_path / "text.mp4").write_text("hello")
    for path, output, message in (
        (tmp_path / "text.mp4", tmp_path / "s.mp4", "text.mp4: not a video"),
        (source, tmp_path / "no" / "s.mp4", "s.mp4: cannot be written"),
        (source, source, "a.mp4: would be overwritten"),
    ):
        with pytest.raises(UserError, match=message):
            cut(path, [(0.2, 0.4)], output)
    with pytest.raises(UserError, match=r"a\.mp4: nothing can be decoded within the summary"):
        cut(source, [(50, 60)], tmp_path / "s.mp4")
    assert not (tmp_path / "s.mp4").exists()
