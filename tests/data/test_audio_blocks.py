"""A recording block by block is the recording."""

import io

import numpy as np
import pytest
import soundfile
import torch

from mmtasks.data.audio import Audio, open_audio, resample
from mmtasks.data.audio_blocks import RecordingBlocks, longer_blocks, pcm_blocks, resample_blocks
from mmtasks.errors import UserError


@pytest.fixture
def noise() -> torch.Tensor:
    return 0.1 * torch.randn(50_000, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("rate", "to"), [(16_000, 16_000), (44_100, 16_000), (8000, 16_000), (96_000, 16_000)])
@pytest.mark.parametrize("size", [333, 7000, 10**6])
def test_blocks_resampled_are_the_whole_resampled(noise: torch.Tensor, rate: int, to: int, size: int) -> None:
    blocks = torch.cat(list(resample_blocks(noise.split(size), rate, to)))
    torch.testing.assert_close(blocks, resample(Audio(noise, rate), to).samples, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
def test_a_file_in_blocks_is_the_file(tmp_path, noise: torch.Tensor, name: str) -> None:
    path = tmp_path / name
    soundfile.write(path, torch.stack([noise, 0.5 * noise], dim=1).numpy(), 44_100)
    whole = open_audio(path, "here")
    blocks = RecordingBlocks(path, 16_000, seconds=0.3)
    assert blocks.seconds == pytest.approx(whole.seconds)
    torch.testing.assert_close(torch.cat(list(blocks)), resample(whole, 16_000).samples, atol=1e-5, rtol=0)


def test_other_formats_come_through_av(tmp_path, noise: torch.Tensor) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray((noise.numpy() * 32767).astype(np.int16)[None], "s16", "mono")
        frame.rate, frame.pts = 16_000, 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    blocks = list(RecordingBlocks(path, 16_000, seconds=0.3))
    torch.testing.assert_close(torch.cat(blocks), noise, atol=1e-4, rtol=0)


def test_broken_files_are_named(tmp_path, noise: torch.Tensor) -> None:
    whole = tmp_path / "whole.wav"
    soundfile.write(whole, noise.numpy(), 16_000)
    (tmp_path / "cut.wav").write_bytes(whole.read_bytes()[:5000])
    soundfile.write(tmp_path / "whole.mp3", noise.repeat(4).numpy(), 16_000)
    whole_mp3 = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "cut.mp3").write_bytes(whole_mp3[: len(whole_mp3) * 2 // 3])
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "text.wav").write_text("no sound")
    soundfile.write(tmp_path / "nan.wav", np.full(100, np.nan, np.float32), 16_000, subtype="FLOAT")
    for name, message in [
        ("none.wav", "no such recording"),
        ("cut.wav", "cut off"),
        ("cut.mp3", "cut off"),
        ("empty.wav", "empty"),
        ("text.wav", "cut off|not a recording"),
        ("nan.wav", "not numbers"),
    ]:
        with pytest.raises(UserError, match=f"{name}: .*({message})"):
            list(RecordingBlocks(tmp_path / name, 16_000, seconds=2.0))


@pytest.mark.parametrize("rate", [16_000, 44_100])
@pytest.mark.parametrize(
    ("samples", "message"),
    [([], "no samples"), ([0.5], "a single sample"), (np.zeros(1000), "holds only zeros"), (np.full(1000, 1e-4), None)],
)
def test_a_recording_of_nothing_is_named(tmp_path, rate: int, samples, message: str | None) -> None:
    soundfile.write(tmp_path / "a.wav", np.asarray(samples, np.float32), rate, subtype="FLOAT")
    blocks = RecordingBlocks(tmp_path / "a.wav", 16_000, seconds=0.02)
    if message is None:
        assert sum(len(block) for block in blocks) == pytest.approx(1000 * 16_000 / rate, abs=1)
    else:
        with pytest.raises(UserError, match=f"a.wav: {message}"):
            list(blocks)


def test_pcm_comes_in_blocks_and_half_a_sample_at_the_end_is_dropped() -> None:
    raw = np.array([0, 16384, -32768, 1], dtype="<i2").tobytes() + b"\0"
    blocks = list(pcm_blocks(io.BytesIO(raw), 1000, seconds=0.003))
    assert [len(block) for block in blocks] == [3, 1]
    torch.testing.assert_close(blocks[0], torch.tensor([0, 0.5, -1.0]))


def test_longer_blocks_are_the_same_signal(noise: torch.Tensor) -> None:
    blocks = list(longer_blocks(noise.split(700), 2000))
    assert torch.cat(blocks).equal(noise)
    assert {len(block) for block in blocks[:-1]} == {2100} and len(blocks[-1]) <= 2100
    assert list(longer_blocks([], 10)) == []
