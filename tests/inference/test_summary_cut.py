"""Cutting videos: the right frames, sound in step, whole or not at all."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from mmtasks.data.video_seek import at_moments
from mmtasks.errors import UserError
from mmtasks.inference.storyboard import storyboard
from mmtasks.inference.summary_cut import cut
from mmtasks.inference.timeline import timeline
from tests.clips import grey, write_clip

RATE = 8000


def flashing(path: Path, *, seconds: int = 8, fps: int = 25, width: int = 64) -> Path:
    """A white flash and a beep of a tenth of a second at every whole second, over black and silence."""
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=fps, options={"g": "40", "crf": "10"})
        video.width, video.height, video.pix_fmt = width, 48, "yuv420p"
        audio = file.add_stream("aac", rate=RATE, layout="mono")
        for k in range(seconds * fps):
            level = 255 if k % fps < fps // 10 + 1 else 0
            frame = av.VideoFrame.from_ndarray(np.full((48, width, 3), level, dtype=np.uint8), "rgb24")
            frame.pts, frame.time_base = k, Fraction(1, fps)
            file.mux(video.encode(frame))
        file.mux(video.encode())
        time = np.arange(seconds * RATE)
        beep = (0.8 * np.sin(2 * np.pi * 1000 * time / RATE) * (time % RATE < RATE // 10)).astype(np.float32)
        sound = av.AudioFrame.from_ndarray(beep[None], "fltp", "mono")
        sound.rate, sound.pts, sound.time_base = RATE, 0, Fraction(1, RATE)
        file.mux(audio.encode(sound))
        file.mux(audio.encode())
    return path


def levels(path: Path) -> list[tuple[float, float]]:
    """Seconds and mean brightness of each frame."""
    with av.open(str(path)) as file:
        return [(float(f.time), float(f.to_ndarray(format="gray").mean())) for f in file.decode(video=0)]


def sound(path: Path) -> np.ndarray:
    with av.open(str(path)) as file:
        stream = file.streams.audio[0]
        pieces = [(f.pts * f.time_base, f.to_ndarray()[0]) for f in file.decode(stream)]
    samples = np.zeros(round((pieces[-1][0] + 1) * stream.rate), dtype=np.float32)
    for at, piece in pieces:
        first = round(at * stream.rate)
        samples[max(first, 0) : first + len(piece)] = piece[max(-first, 0) :]
    return samples


def onsets(values: np.ndarray, times: np.ndarray, least: float) -> np.ndarray:
    """When the values begin to be loud or bright, after being neither for 0.3 s."""
    loud = times[np.abs(values) > least]
    return loud[np.diff(loud, prepend=-9) > 0.3]


def test_flash_and_beep_stay_together_after_every_cut(tmp_path: Path) -> None:
    source, output = flashing(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    cut(source, [(0.5, 1.7), (3.3, 5.5), (6.48, 7.6)], output)
    frames = np.array(levels(output))
    heard = sound(output)
    flashes = onsets(frames[:, 1], frames[:, 0], 128)
    beeps = onsets(heard, np.arange(len(heard)) / RATE, 0.4)
    expected = [0.5, 1.2 + 0.7, 1.2 + 1.7, 1.2 + 2.2 + 0.52]
    np.testing.assert_allclose(flashes, expected, atol=0.041)
    np.testing.assert_allclose(beeps, flashes, atol=0.04)
    assert frames[-1, 0] + 0.04 == pytest.approx(1.2 + 2.2 + 1.12, abs=0.041)


def test_frames_of_a_variable_rate_keep_their_distances(tmp_path: Path) -> None:
    times = [0, 100, 150, 400, 900, 1000, 1500, 1600]
    source = write_clip(tmp_path / "a.mp4", grey([20, 50, 80, 110, 140, 170, 200, 230]), times=times)
    cut(source, [(0.1, 0.95), (1.5, 1.7)], tmp_path / "b.mp4")
    found = levels(tmp_path / "b.mp4")
    np.testing.assert_allclose([at for at, _ in found], [0, 0.05, 0.3, 0.8, 0.85, 0.95], atol=0.002)
    np.testing.assert_allclose([level for _, level in found], [50, 80, 110, 140, 200, 230], atol=4)


def test_a_video_filmed_sideways_is_upright_and_odd_sizes_are_evened(tmp_path: Path) -> None:
    images = [np.zeros((48, 64, 3), dtype=np.uint8) for _ in range(8)]
    for image in images:
        image[:, :32] = 255
    source = write_clip(tmp_path / "a.mp4", images, rotation=90)
    cut(source, [(0, 0.6)], tmp_path / "b.mp4")
    upright = next(at_moments(source, [0.2], width=48))
    with av.open(str(tmp_path / "b.mp4")) as file:
        written = next(file.decode(video=0)).to_ndarray(format="rgb24")
    assert written.shape == upright.shape == (64, 48, 3)
    np.testing.assert_allclose(written.mean(axis=(1, 2)), upright.mean(axis=(1, 2)), atol=6)
    odd = write_clip(tmp_path / "odd.mkv", grey([10, 90], height=47, width=63), codec="ffv1")
    cut(odd, [(0, 0.2)], tmp_path / "even.mp4")
    with av.open(str(tmp_path / "even.mp4")) as file:
        assert (file.streams.video[0].width, file.streams.video[0].height) == (62, 46)


def test_nothing_is_left_of_a_cut_that_fails(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", grey([20, 50]))
    with pytest.raises(UserError, match="nothing can be decoded within the summary"):
        cut(source, [(50, 60)], tmp_path / "b.mp4")
    with pytest.raises(UserError, match="cannot be written"):
        cut(source, [(0, 0.1)], tmp_path / "none" / "b.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4"]


def test_moments_show_what_the_video_shows_then(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "a.mp4", grey(range(0, 250, 5)))
    shown = [float(image.mean()) for image in at_moments(source, [3.0, 0.0, 1.25, 4.9], width=32)]
    np.testing.assert_allclose(shown, [150, 0, 60, 245], atol=4)


def test_pictures_of_a_summary_are_drawn(tmp_path: Path) -> None:
    from PIL import Image

    source = write_clip(tmp_path / "a.mp4", grey(range(0, 250, 5)))
    storyboard(source, [0.5 * k for k in range(9)], tmp_path / "board.png", title="a film")
    line = np.linspace(0, 1, 20)
    timeline(line, 5 * line, [(0, 2.5), (2.5, 5)], [1], tmp_path / "line.png")
    with Image.open(tmp_path / "board.png") as board, Image.open(tmp_path / "line.png") as drawn:
        assert board.height > 1.5 * 80
        shaded = np.asarray(drawn.convert("RGB")).astype(int)
    middle = shaded[shaded.shape[0] // 3]
    orange = (middle[:, 0] - middle[:, 2] > 40).nonzero()[0]
    assert orange.min() > 0.45 * shaded.shape[1]
