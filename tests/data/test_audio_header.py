"""Recordings that lack their end, and those whose header was never filled in."""

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mmtasks.data.audio import open_audio
from mmtasks.data.audio_blocks import RecordingBlocks
from mmtasks.errors import UserError

RATE = 16_000


@pytest.fixture
def noise() -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal(RATE)).astype(np.float32)


def wav(
    path: Path, samples: np.ndarray, *, whole: int | None = None, data: int | None = None, after: bytes = b""
) -> Path:
    """16 bits, with other lengths of the file and of its samples in the header, and more bytes at its end."""
    soundfile.write(path, samples, RATE)
    content = bytearray(path.read_bytes())
    place = content.index(b"data") + 4
    if whole is not None:
        content[4:8] = struct.pack("<I", whole)
    if data is not None:
        content[place : place + 4] = struct.pack("<I", data)
    path.write_bytes(bytes(content) + after)
    return path


def both(path: Path) -> tuple[torch.Tensor, torch.Tensor]:
    return open_audio(path, "here").samples, torch.cat(list(RecordingBlocks(path, RATE, seconds=0.3)))


@pytest.mark.parametrize("data", [0, 0x7FFFF000, 0x7FFFFFDB, 0x80000000, 0xFFFFFFFF])
def test_a_wav_written_to_a_pipe_is_read_to_its_end(tmp_path: Path, noise: np.ndarray, data: int) -> None:
    path = wav(tmp_path / "a.wav", noise, whole=min(data + 36, 0xFFFFFFFF) if data else 0, data=data)
    for samples in both(path):
        torch.testing.assert_close(samples, torch.from_numpy(noise), atol=1e-4, rtol=0)
    part = open_audio(path, "here", start=0.25, end=0.75).samples
    torch.testing.assert_close(part, torch.from_numpy(noise[4000:12000]), atol=1e-4, rtol=0)


def test_other_lengths_that_the_file_does_not_hold_are_cut_off(tmp_path: Path, noise: np.ndarray) -> None:
    for data in (len(noise) * 2 + 2, 0x70000000):
        with pytest.raises(UserError, match="cut off"):
            open_audio(wav(tmp_path / "a.wav", noise, whole=data + 36, data=data), "here")


def test_a_finished_wav_of_no_samples_has_none_whatever_follows(tmp_path: Path) -> None:
    note = b"LIST" + struct.pack("<I", 4) + b"INFO"
    path = wav(tmp_path / "a.wav", np.zeros(0, np.float32), after=note)
    wav(path, np.zeros(0, np.float32), whole=path.stat().st_size - 8, after=note)
    with pytest.raises(UserError, match="no samples"):
        open_audio(path, "here")


def test_a_flac_that_does_not_tell_its_length_is_read_to_its_end(tmp_path: Path, noise: np.ndarray) -> None:
    pytest.importorskip("av")
    path = tmp_path / "a.flac"
    soundfile.write(path, noise, RATE)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the stream's number of samples: 36 bits, 13 bytes into the block at 8
    content[22:26] = bytes(4)
    path.write_bytes(content)
    for samples in both(path):
        torch.testing.assert_close(samples, torch.from_numpy(noise), atol=1e-4, rtol=0)


def encode(path: Path, noise: np.ndarray, *, seconds: int, pictures: bool = False) -> bytes:
    """Sound in a container, and twice as many seconds of pictures beside it."""
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        sound = container.add_stream("pcm_s16le", rate=RATE, layout="mono")
        film = container.add_stream("mpeg4", rate=1, width=32, height=32) if pictures else None
        for i in range(seconds):
            frame = av.AudioFrame.from_ndarray((noise * 32767).astype(np.int16)[None], "s16", "mono")
            frame.rate, frame.pts = RATE, i * RATE
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        if film is not None:
            for _ in range(2 * seconds):
                container.mux(film.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), "rgb24")))
            container.mux(film.encode(None))
    return path.read_bytes()


@pytest.mark.parametrize("tag", [b"DURATION", b"NOTHING_"])
def test_a_container_that_ends_before_it_says_is_cut_off(tmp_path: Path, noise: np.ndarray, tag: bytes) -> None:
    content = encode(tmp_path / "whole.mkv", noise, seconds=6).replace(b"DURATION", tag)
    assert all(len(samples) == 6 * RATE for samples in both(tmp_path / "whole.mkv"))
    path = tmp_path / "cut.mkv"
    path.write_bytes(content[: len(content) // 2])
    assert len(open_audio(path, "here", end=1.0).samples) == RATE  # as far as that it is whole
    for read in (lambda: open_audio(path, "cut.mkv"), lambda: list(RecordingBlocks(path, RATE))):
        with pytest.raises(UserError, match="cut.mkv: the recording is cut off"):
            read()


@pytest.mark.parametrize("tag", [b"DURATION", b"NOTHING_"])
def test_sound_may_end_before_the_pictures_do(tmp_path: Path, noise: np.ndarray, tag: bytes) -> None:
    content = encode(tmp_path / "film.mkv", noise, seconds=2, pictures=True)
    (tmp_path / "film.mkv").write_bytes(content.replace(b"DURATION", tag))
    assert all(len(samples) == 2 * RATE for samples in both(tmp_path / "film.mkv"))
