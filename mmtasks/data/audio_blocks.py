"""Recordings of any length, a block at a time, so that memory does not grow with the recording."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import torch
from torch import Tensor

from mmtasks.data.audio import check_whole, mix
from mmtasks.data.audio_av import frames, probe
from mmtasks.data.audio_header import open_by_soundfile
from mmtasks.data.resampling import periods, resampled
from mmtasks.errors import UserError

SECONDS = 30.0
REACH = 8
"""Samples of the slower rate that a resampled one looks at on each side: at torchaudio's defaults 6 / 0.99."""


class RecordingBlocks:
    """The samples of a file at another rate, channels averaged: iterate over blocks (T,) float32.

    Reads what ``open_audio`` reads. The blocks together are what resampling the whole recording gives.

    Args:
        path: the file.
        rate: samples a second of the blocks.
        seconds: length of a block in the file.

    Raises:
        UserError: missing, empty, cut off, not a recording, or, while iterating, damaged or without sound.
    """

    def __init__(self, path: str | Path, rate: int, *, seconds: float = SECONDS) -> None:
        self.path = Path(path)
        self.rate = rate
        check_whole(self.path, str(path))
        try:
            with open_by_soundfile(self.path) as file:
                self._blocks, self._rate, self._frames = _by_soundfile, file.samplerate, file.frames
        except soundfile.SoundFileError as error:
            self._blocks = _by_av
            self._rate, self._frames = probe(self.path, str(self.path), " ".join(str(error).split()))
        self._size = max(1, int(seconds * self._rate))

    @property
    def seconds(self) -> float:
        """Length of the recording, as its header tells it; 0 where it does not."""
        return self._frames / self._rate

    def __iter__(self) -> Iterator[Tensor]:
        name = str(self.path)
        blocks = (mix(block, name) for block in self._blocks(self.path, self._size, self._frames))
        return resample_blocks(sounding_blocks(blocks, name), self._rate, self.rate)


def sounding_blocks(blocks: Iterable[Tensor], name: str) -> Iterator[Tensor]:
    """The blocks (T,) of one signal; at its end a UserError that begins with ``name`` if nothing was in it."""
    count, sounds = 0, False
    for block in blocks:
        count += len(block)
        sounds = sounds or bool(block.any())
        yield block
    if count < 2:
        raise UserError(f"{name}: {'a single sample' if count else 'no samples'}; give a recording")
    if not sounds:
        raise UserError(f"{name}: holds only zeros; give another recording, or check how it was made")


def resample_blocks(blocks: Iterable[Tensor], rate: int, to: int) -> Iterator[Tensor]:
    """Blocks (T,) of one signal to another rate, as if it were resampled in one piece."""
    old, new = periods(rate, to)
    if old == new:
        yield from blocks
        return
    margin = REACH * math.ceil(old / min(old, new)) + 1  # in periods of ``old`` samples: more than the kernel's reach
    before = torch.zeros(0)
    waiting = torch.zeros(0)
    for block in blocks:
        waiting = torch.cat([waiting, block])
        ready = (len(waiting) // old - margin) * old
        if ready <= 0:
            continue
        whole = resampled(torch.cat([before, waiting[: ready + margin * old]]), old, new)
        start = len(before) // old * new
        yield whole[start : start + ready // old * new]
        before = torch.cat([before, waiting[:ready]])[-margin * old :]
        waiting = waiting[ready:]
    rest = torch.cat([before, waiting])
    if len(rest):
        yield resampled(rest, old, new)[len(before) // old * new :]


def longer_blocks(blocks: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Blocks (T,) of one signal -> the same signal in blocks of at least ``size`` samples, but for the last one."""
    waiting: list[Tensor] = []
    count = 0
    for block in blocks:
        waiting.append(block)
        count += len(block)
        if count >= size:
            yield torch.cat(waiting)
            waiting, count = [], 0
    if waiting:
        yield torch.cat(waiting)


def equal_blocks(blocks: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Blocks (T,) of one signal -> the same signal in blocks of ``size`` samples, the last one shorter."""
    rest = torch.zeros(0)
    for block in blocks:
        whole = torch.cat([rest, block])
        full = len(whole) // size * size
        yield from whole[:full].split(size) if full else ()
        rest = whole[full:]
    if len(rest):
        yield rest


def pcm_blocks(stream: BinaryIO, rate: int, *, seconds: float) -> Iterator[Tensor]:
    """Raw 16-bit little-endian samples of one channel, as they arrive -> blocks (T,), the last one shorter."""
    size = 2 * max(1, int(rate * seconds))
    while data := stream.read(size):
        samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")
        yield torch.from_numpy(samples.astype(np.float32) / 32768)


def _by_soundfile(path: Path, size: int, count: int) -> Iterator[np.ndarray[Any, Any]]:
    with open_by_soundfile(path) as file:
        read = 0
        try:
            while len(block := file.read(size, dtype="float32", always_2d=True)):  # blocks() passes over a short read
                read += len(block)
                yield block
        except soundfile.SoundFileError as error:
            raise UserError(f"{path}: damaged ({' '.join(str(error).split())}); copy it again") from None
    if read < count:
        raise UserError(f"{path}: the recording is cut off; copy it again")


def _by_av(path: Path, size: int, count: int) -> Iterator[np.ndarray[Any, Any]]:
    parts: list[np.ndarray[Any, Any]] = []
    for part in frames(path, str(path)):
        parts.append(part)
        if sum(map(len, parts)) >= size:
            yield np.concatenate(parts)
            parts = []
    if parts:
        yield np.concatenate(parts)
