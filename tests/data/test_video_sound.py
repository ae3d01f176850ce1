"""The sound around each step of a video: the right moment, whatever the file's clock, in bounded memory."""

import tracemalloc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("av")

import av

from mmtasks.config import describe, instantiate
from mmtasks.data.audio_blocks import equal_blocks
from mmtasks.data.video_sound import SoundProcessor
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.encoders.base import Encoder
from mmtasks.encoders.log_mel import LogMelAudio
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.errors import UserError
from mmtasks.types import Facts, Modality, Tokens
from tests.clips import grey, write_clip
from tests.flashes import FLASHES, write_flashes

RATE = 8000
STEPS = np.arange(0, 5, 0.2)


class Values(Encoder):
    """Each token the mean of ten samples."""

    width = 1

    def build(self, facts: Facts) -> None:
        self.longest = 0

    def learned_facts(self) -> dict[str, float]:
        return {"token_seconds": 10 / RATE}

    def forward(self, modality: Modality) -> Tokens:
        self.longest = max(self.longest, modality.mask.shape[1])
        return Tokens(modality.data.unfold(1, 10, 10).mean(dim=2, keepdim=True), modality.mask[:, 9::10])


def beeping() -> np.ndarray:
    """Seconds of beep between the middles around each step."""
    low, high = np.maximum(STEPS - 0.1, 0), STEPS + 0.1
    return sum(np.maximum(np.minimum(high, flash + 0.03) - np.maximum(low, flash), 0) for flash in FLASHES)


def agreement(heard: Tensor, expected: np.ndarray) -> float:
    return float(np.corrcoef(heard.mean(dim=1), expected)[0, 1])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("late.mp4", {"late": 1.2}),
        ("stereo.mkv", {"rate": 44_100, "layout": "stereo"}),
    ],
)
def test_each_step_hears_its_own_moment(tmp_path: Path, name: str, options: dict) -> None:
    path = write_flashes(tmp_path / name, **options)
    heard = SoundProcessor(LogMelAudio(16), rate=RATE)(path, STEPS)
    assert heard.shape == (25, 16) and heard.dtype == torch.float32
    assert agreement(heard, beeping()) > 0.95
    parts = SoundProcessor(LogMelAudio(16), rate=RATE, window=1.1)(path, STEPS)
    assert agreement(parts, beeping()) > 0.95


def test_where_sound_begins_late_or_ends_early_it_is_silent(tmp_path: Path) -> None:
    late = write_flashes(tmp_path / "late.mp4", sound_from=2.0)
    heard = SoundProcessor(LogMelAudio(16), rate=RATE)(late, STEPS)
    assert agreement(heard[11:], beeping()[11:]) > 0.95
    assert heard[:9].amax() < -13.8  # the floor of log-mel
    short = write_clip(tmp_path / "short.mp4", grey([50] * 40), sound=True)  # a second of sound, four of pictures
    assert torch.isfinite(SoundProcessor(LogMelAudio(16), rate=RATE)(short, np.arange(0, 4, 0.5))).all()


def test_without_sound_there_is_none(tmp_path: Path) -> None:
    assert SoundProcessor(LogMelAudio())(write_clip(tmp_path / "a.mp4", grey([50] * 5)), np.arange(2) / 5) is None


@pytest.mark.parametrize("window", [1.0, 1.3, 30.0])
@pytest.mark.parametrize("seconds", [[0.0, 0.5, 1.0, 2.5], [0.0005, 0.001, 0.0015], [0.7], [1.0, 1.5]])
def test_a_step_is_the_mean_between_the_middles_to_its_neighbours(window: float, seconds: list[float]) -> None:
    samples = torch.sin(torch.arange(4 * RATE) / 900) + 2
    process = SoundProcessor(Values(), rate=RATE, window=window)
    found = process.around(samples.split(777), np.array(seconds)).squeeze(1)
    middles = (np.array(seconds[1:]) + seconds[:-1]) / 2
    first, last = (2 * seconds[0] - middles[0], 2 * seconds[-1] - middles[-1]) if len(middles) else (0.2, 1.2)
    edges = np.maximum([first, *middles, last], 0) * RATE
    held = samples.view(-1, 10).mean(dim=1).repeat_interleave(10).double()
    total = np.interp(edges, np.arange(len(held) + 1), np.append(0, held.cumsum(0)))
    np.testing.assert_allclose(found, np.diff(total) / np.diff(edges), atol=1e-5)


def test_hours_are_held_a_window_at_a_time() -> None:
    encoder, held = Values(), []

    def hour() -> Iterator[Tensor]:
        for k in range(120):
            block = torch.full((30 * RATE,), float(k))
            held.append(weakref.ref(block))
            yield block
            del block
            assert sum(ref() is not None for ref in held) <= 2

    heard = SoundProcessor(encoder, rate=RATE, window=20).around(hour(), np.arange(15, 3600, 30))
    assert encoder.longest == 20 * RATE
    np.testing.assert_allclose(heard[:, 0], np.arange(120), atol=1e-4)


def test_an_hour_of_a_file_takes_no_more_memory_than_a_minute(tmp_path: Path) -> None:
    path = tmp_path / "long.mkv"
    with av.open(str(path), "w") as file:
        video = file.add_stream("mjpeg", rate=1)
        video.width, video.height, video.pix_fmt = 16, 16, "yuvj420p"
        audio = file.add_stream("pcm_u8", rate=RATE, layout="mono")
        picture = av.VideoFrame.from_ndarray(grey([50], height=16, width=16)[0], "rgb24")
        picture.pts = 0
        file.mux([*video.encode(picture), *video.encode()])
        for minute in range(60):
            block = np.full((1, 60 * RATE), 128 + minute, np.uint8)
            frame = av.AudioFrame.from_ndarray(block, "u8", "mono")
            frame.rate, frame.pts = RATE, minute * 60 * RATE
            file.mux(audio.encode(frame))
        file.mux(audio.encode())
    tracemalloc.start()
    heard = SoundProcessor(Values(), rate=RATE, window=10)(path, np.arange(30, 3600, 60))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_allclose(heard[:, 0], np.arange(60) / 128, atol=1e-3)
    assert peak < 20e6  # numpy's share; the whole hour would take 115 MB


def test_an_encoder_of_speech_and_its_description(tmp_path: Path) -> None:
    path = write_flashes(tmp_path / "a.mp4")
    process = SoundProcessor(ConformerAudio(8, num_layers=1, num_heads=2), rate=RATE, window=2)
    again = instantiate(describe(process))
    heard = process(path, STEPS)
    assert heard.shape == (25, 8)
    torch.testing.assert_close(again(path, STEPS), heard)


def test_equal_blocks_are_the_signal() -> None:
    signal = torch.arange(1000.0)
    for given in (1, 7, 250, 1000):
        blocks = list(equal_blocks(signal.split(given), 250))
        assert [len(block) for block in blocks] == [250] * 4
        assert torch.equal(torch.cat(blocks), signal)
    assert [len(block) for block in equal_blocks(signal.split(300), 400)] == [400, 400, 200]


def test_what_cannot_be_done_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="ResNetEncoder is no encoder of sound"):
        SoundProcessor(ResNetEncoder(layers=[1], base_width=8)).build()
    with pytest.raises(ValueError, match="rate 10"):
        SoundProcessor(LogMelAudio(), rate=10)
    with pytest.raises(ValueError, match="window 0"):
        SoundProcessor(LogMelAudio(), window=0)
    with pytest.raises(ValueError, match="num_mels 0"):
        LogMelAudio(0)
    (tmp_path / "a.mp4").write_bytes(b"hello")
    with pytest.raises(UserError, match=r"a\.mp4: not a video"):
        SoundProcessor(LogMelAudio())(tmp_path / "a.mp4", STEPS)
