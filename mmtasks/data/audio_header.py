"""What wav, Ogg and FLAC files say of their length: decoders do not mind where it is missed, or was never known."""

import io
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import soundfile

OGG_PAGE = 65_307
"""The most bytes of an Ogg page (RFC 3533)."""
UNKNOWN = 2**63 - 1
"""The samples that libsndfile gives a FLAC file whose header has none."""
NEAR = 4096
"""Bytes: so near to 2 or 4 GiB are the lengths that writers to a pipe put down (sox: 2 GiB less 4096)."""


def cut_off(path: Path) -> bool:
    """Whether the end of a wav or Ogg file is missing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        kind = file.read(4)
        if kind == b"OggS":
            file.seek(max(0, size - OGG_PAGE))
            return not _ends_with_last_page(file.read())
    if not _is_wav(path):
        return False
    data = _wav_data(path)
    return data is None or (not data.streamed and data.start + data.length > size)


@contextmanager
def open_by_soundfile(path: Path) -> Iterator[soundfile.SoundFile]:
    """The file, its length known; what was written to a pipe ends where the file does.

    Raises:
        soundfile.SoundFileError: libsndfile does not read it, or cannot without knowing its length.
    """
    data = _wav_data(path) if _is_wav(path) else None
    with ExitStack() as stack:
        source = path if data is None or not data.streamed else stack.enter_context(_Unfinished(path, data.start))
        file = stack.enter_context(soundfile.SoundFile(source))
        if file.frames == UNKNOWN:
            raise soundfile.SoundFileRuntimeError("its header does not tell how long it is")
        yield file


class _Data(NamedTuple):
    """The samples of a wav file: where they start, and how many bytes there are; ``streamed``: that was not known."""

    start: int
    length: int
    streamed: bool


class _Unfinished(io.FileIO):
    """A wav file with the most samples in its header that a header can tell; libsndfile reads as many as there are.

    Args:
        path: the file.
        start: where its samples start.
    """

    def __init__(self, path: Path, start: int) -> None:
        super().__init__(path)
        self._length = range(start - 4, start)

    def readinto(self, buffer: Any) -> int:
        """As every raw file."""
        place = self.tell()
        count = super().readinto(buffer)
        for byte in self._length:
            if place <= byte < place + count:
                memoryview(buffer).cast("B")[byte - place] = 0xFF
        return count


def _is_wav(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(12)
    return head[:4] == b"RIFF" and head[8:] == b"WAVE"


def _wav_data(path: Path) -> _Data | None:
    """Where the samples of a wav file are; None if it ends before."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(4)
        whole = struct.unpack("<I", file.read(4))[0] + 8
        file.seek(12)
        while len(chunk := file.read(8)) == 8:
            length = struct.unpack("<I", chunk[4:])[0]
            if chunk[:4] == b"data":
                return _Data(file.tell(), length, _streamed(length, size - file.tell(), finished=whole == size))
            file.seek(length + length % 2, 1)
    return None


def _streamed(length: int, left: int, *, finished: bool) -> bool:
    """Whether ``length`` is what a program writes that cannot go back to its header; so many bytes are left."""
    if not length:
        return left > 0 and not finished
    return length > left and min(abs(2**31 - length), 2**32 - length) <= NEAR


def _ends_with_last_page(tail: bytes) -> bool:
    """Whether the last Ogg page in these bytes is complete and marked as the last of its stream (RFC 3533)."""
    start = tail.rfind(b"OggS")
    if start < 0 or len(tail) < start + 27:
        return False
    flags, segments = tail[start + 5], tail[start + 26]
    table = tail[start + 27 : start + 27 + segments]
    complete = len(table) == segments and len(tail) >= start + 27 + segments + sum(table)
    return complete and bool(flags & 4)
