"""Decoding video files: times, rotation, colour, damage, and skipping what nobody asked for."""

import math
import struct
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from mmtasks.data import video, video_packets  # noqa: E402
from mmtasks.data.video import frames, probe  # noqa: E402
from mmtasks.data.video_seek import at_moments  # noqa: E402
from mmtasks.errors import UserError  # noqa: E402
from tests.clips import TICK, grey, write_clip  # noqa: E402


def levels(found) -> list[int]:
    return [int(frame.image[..., 1].mean() + 0.5) for frame in found]


def moving(count: int = 60) -> list[np.ndarray]:
    """A bright square that moves over noise, so that frames differ and codecs predict."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 100, (48, 64, 3), dtype=np.uint8)
    images = [ground.copy() for _ in range(count)]
    for k, image in enumerate(images):
        image[k % 40 : k % 40 + 8, k % 50 : k % 50 + 8] = 255
    return images


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mp4", "libx264"), ("a.mkv", "ffv1"), ("a.avi", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.mov", "mjpeg")],
)
def test_any_container_and_codec_gives_the_same_frames(tmp_path, name, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec}")
    with frames(write_clip(tmp_path / name, grey(range(20, 220, 10)), codec=codec), rate=2) as found:
        kept = list(found)
    assert [frame.index for frame in kept] == [0, 5, 10, 15]
    assert [round(frame.seconds, 2) for frame in kept] == [0, 0.5, 1, 1.5]
    np.testing.assert_allclose(levels(kept), [20, 70, 120, 170], atol=3)
    assert found.count == 20
    assert found.fps == pytest.approx(10, rel=0.01)
    assert kept[0].image.shape == (48, 64, 3)


def test_frames_are_sampled_by_their_own_times(tmp_path):
    times = [2000, 2100, 2200, 2300, 3600, 3620, 3640, 6000]  # starts late, stands still, then hurries
    path = write_clip(tmp_path / "a.mkv", grey(range(20, 180, 20)), times=times)
    found = frames(path, rate=1)
    kept = list(found)
    assert [frame.index for frame in kept] == [0, 4, 7]
    assert [round(frame.seconds, 2) for frame in kept] == [0, 1.6, 4]
    assert found.count == 8
    assert found.seconds == pytest.approx(4)
    assert len(list(frames(path, rate=math.inf))) == 8


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_skipping_changes_no_frame(tmp_path, monkeypatch, codec):
    if codec not in av.codecs_available:
        pytest.skip(f"no encoder {codec}")
    path = write_clip(tmp_path / "a.mp4", moving(), codec=codec)
    some = list(frames(path, rate=3))
    monkeypatch.setattr(video, "SKIPPABLE", ())
    every = list(frames(path, rate=3))
    assert [(f.index, f.seconds) for f in some] == [(f.index, f.seconds) for f in every]
    assert len(some) == 18
    assert all(np.array_equal(a.image, b.image) for a, b in zip(some, every, strict=True))


def test_skipping_decodes_less(tmp_path, monkeypatch):
    decoded = []
    decode = video_packets._decoded

    def counted(*given):
        fresh = decode(*given)
        decoded.extend(fresh)
        return fresh

    monkeypatch.setattr(video_packets, "_decoded", counted)
    found = frames(write_clip(tmp_path / "a.mp4", moving()), rate=1)
    assert len(list(found)) == 6
    assert found.count == 60
    assert len(decoded) < 50


@pytest.mark.parametrize(("rotation", "corner"), [(0, (0, 0)), (90, (-1, 0)), (-90, (0, -1)), (180, (-1, -1))])
def test_rotated_phones(tmp_path, rotation, corner):
    image = grey([40])[0]
    image[:24, :32] = 240
    path = write_clip(tmp_path / "a.mp4", [image] * 3, rotation=rotation)
    shape = (64, 48) if rotation % 180 else (48, 64)
    for size in (None, (30, 20)):
        shown = next(frames(path, rate=1, size=size)).image
        assert shown.shape == (*(size or shape), 3)
        assert shown[corner].mean() > 230
        assert shown.reshape(-1, 3).mean() == pytest.approx(40 + 200 / 4, abs=5)
    info = probe(path)
    assert (info.height, info.width) == shape
    assert info.rotation % 360 == rotation % 360


@pytest.mark.parametrize(
    ("space", "span", "red"),
    [("ITU601", "MPEG", (81, 90, 240)), ("ITU709", "MPEG", (63, 102, 240)), ("ITU709", "JPEG", (54, 99, 255))],
)
def test_colours_become_full_range_rgb(tmp_path, space, span, red):
    from av.video.reformatter import ColorRange, Colorspace

    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=10)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.colorspace = Colorspace[space].value
        stream.codec_context.color_range = ColorRange[span].value
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.colorspace, frame.color_range = Colorspace[space].value, ColorRange[span].value
        for plane, value in zip(frame.planes, red, strict=True):
            plane.update(bytes([value]) * plane.buffer_size)
        frame.pts, frame.time_base = 0, TICK
        file.mux([*stream.encode(frame), *stream.encode()])
    np.testing.assert_allclose(next(frames(path, rate=1)).image.mean(axis=(0, 1)), (255, 0, 0), atol=4)


def test_one_frame_and_odd_sides(tmp_path):
    path = write_clip(tmp_path / "a.mkv", grey([90], height=47, width=63), codec="ffv1")
    found = frames(path, rate=2)
    [frame] = found
    assert frame.image.shape == (47, 63, 3)
    assert (found.count, found.seconds) == (1, 0)
    assert found.fps > 0


@pytest.mark.parametrize("sound", [True, False])
def test_probe(tmp_path, sound):
    info = probe(write_clip(tmp_path / "a.mp4", grey(range(20)), sound=sound))
    assert (info.width, info.height, info.rotation, info.n_frames, info.has_sound) == (64, 48, 0, 20, sound)
    assert info.fps == pytest.approx(10)
    assert info.seconds == pytest.approx(2)


def test_a_video_cut_off_gives_what_there_is_and_says_so(tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = list(rng.integers(0, 255, (60, 48, 64, 3), dtype=np.uint8))
    path = write_clip(tmp_path / "a.mp4", images, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found = frames(path, rate=2)
    kept = list(found)
    assert 3 <= len(kept) <= 8
    assert 15 <= found.count <= 40
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "a.mp4: ends after" in said
    assert "6.0 s" in said
    assert found.problem in said


def test_a_whole_video_says_nothing(tmp_path, capsys):
    found = frames(write_clip(tmp_path / "a.mp4", moving(), sound=True), rate=2)
    assert len(list(found)) == 12
    assert (found.problem, capsys.readouterr().err) == ("", "")


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.mp4", "libx264")])
@pytest.mark.parametrize("rate", [2, math.inf])
def test_a_video_whose_pictures_start_late_is_whole(tmp_path, capsys, name, codec, rate):
    clip = write_clip(tmp_path / name, moving(), times=[4000 + 100 * k for k in range(len(moving()))], codec=codec)
    found = frames(clip, rate=rate)
    assert sum(1 for _ in found) == (12 if rate == 2 else 60)
    assert (found.problem, capsys.readouterr().err) == ("", "")
    assert probe(clip).seconds == pytest.approx(6, abs=0.1)


def test_a_video_that_starts_late_and_is_cut_off_is_told(tmp_path):
    clip = write_clip(tmp_path / "a.mkv", moving(), times=[4000 + 100 * k for k in range(len(moving()))])
    clip.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    found = frames(clip, rate=2)
    list(found)
    assert found.problem.endswith("though its header says 6.0 s")


@pytest.mark.parametrize(
    ("told", "problem"), [(60_000.0, "ends after 3.0 s, though its header says 60.0 s"), (1.0, "")]
)
def test_a_lying_header_is_not_believed(tmp_path, told, problem):
    path = write_clip(tmp_path / "a.mkv", grey(range(30)))
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3
    assert struct.unpack(">d", data[place : place + 8]) == (3000,)
    data[place : place + 8] = struct.pack(">d", told)
    path.write_bytes(data)
    found = frames(path, rate=1)
    assert [frame.index for frame in found] == [0, 10, 20]
    assert (found.count, found.problem) == (30, problem)


def test_damage_in_the_middle_costs_only_what_is_damaged(tmp_path):
    path = write_clip(tmp_path / "a.avi", moving(), codec="mjpeg")
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + 2000] = bytes(2000)
    path.write_bytes(data)
    found = frames(path, rate=10)
    assert 50 <= len(list(found)) <= 60
    assert found.seconds == pytest.approx(5.9, abs=0.11)


def cut_at_start(path: Path, packets: int) -> Path:
    """A transport stream without its first packets, as a recorder that was switched on at any time writes it."""
    data = path.read_bytes()
    path.write_bytes(data[: 3 * 188] + data[(3 + packets) * 188 :])  # keeps the tables
    return path


def test_time_starts_at_the_first_frame_that_decodes(tmp_path, monkeypatch):
    path = cut_at_start(write_clip(tmp_path / "a.ts", moving(), codec_options={"x264-params": "bframes=0"}), 20)
    found = frames(path, rate=2)
    kept = list(found)
    assert (kept[0].index, kept[0].seconds) == (0, 0)
    monkeypatch.setattr(video, "SKIPPABLE", ())
    every = frames(path, rate=2)
    assert [(f.index, f.seconds) for f in every] == [(f.index, f.seconds) for f in kept]
    assert found.count == every.count < 60
    for frame, picture in zip(kept, at_moments(path, [f.seconds for f in kept], width=64), strict=True):
        np.testing.assert_array_equal(frame.image, picture)


def test_a_clock_that_jumps_back_is_named(tmp_path):
    one = write_clip(tmp_path / "one.ts", moving())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() * 2)
    with pytest.raises(UserError, match=r"joined\.ts: its clock jumps back after 5\.\d s.*ffmpeg -i .*joined\.ts"):
        list(frames(joined, rate=2))
    assert len(list(frames(one, rate=2))) == 12


@pytest.mark.parametrize("reordered", ["0", "2"])
@pytest.mark.parametrize("name", ["a.h264", "a.avi"])
def test_frames_without_true_times_come_in_order_at_the_rate_that_is_told(tmp_path, name, reordered):
    path = write_clip(tmp_path / name, grey(range(20, 220, 4)), codec_options={"bf": reordered})
    found = frames(path, rate=2)
    kept = list(found)
    assert [f.index for f in kept] == list(range(0, 50, 5))
    np.testing.assert_allclose([f.seconds for f in kept], np.arange(10) / 2, atol=1e-3)
    np.testing.assert_allclose(levels(kept), range(20, 220, 20), atol=3)
    assert (found.count, found.fps) == (50, pytest.approx(10, rel=1e-3))
    shown = [picture.mean() for picture in at_moments(path, [0.0, 1.5, 3.1, 4.9], width=32)]
    np.testing.assert_allclose(shown, [20, 80, 144, 216], atol=3)


def broken(path: Path) -> None:
    for use in (probe, lambda p: list(frames(p, rate=1))):
        with pytest.raises(UserError, match="a.mp4: ") as caught:
            use(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello " * 100, b"\0" * 5000, b"\x00\x00\x00\x18ftypmp42" + b"\0" * 300])
def test_files_that_are_no_videos(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    broken(path)


def test_missing_files_folders_texts_sound_and_videos_without_frames(tmp_path):
    broken(tmp_path / "a.mp4")
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="no such video"):
        probe(tmp_path / "b")
    (tmp_path / "a.txt").write_text("hello\n" * 9)
    with pytest.raises(UserError, match=r"a\.txt: .*not a video"):
        probe(tmp_path / "a.txt")
    with av.open(str(tmp_path / "sound.mp4"), "w") as file:
        stream = file.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
        frame.rate, frame.pts = 8000, 0
        file.mux([*stream.encode(frame), *stream.encode(None)])
    with pytest.raises(UserError, match=r"sound\.mp4: has no stream of pictures"):
        probe(tmp_path / "sound.mp4")
    path = write_clip(tmp_path / "c.mp4", grey([9, 9, 9]), options={"movflags": "faststart"})
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = b"\xff" * (len(data) - start)
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"c\.mp4: not one frame can be decoded"):
        list(frames(path, rate=1))


@pytest.mark.parametrize("options", [{"rate": 0}, {"rate": -1}, {"rate": math.nan}, {"rate": 1, "size": (0, 4)}])
def test_bad_arguments_are_named(tmp_path, options):
    with pytest.raises(ValueError, match="must be"):
        frames(tmp_path / "a.mp4", **options)
