"""Recordings that soundfile does not read, through PyAV (extra: ``media``)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmtasks.errors import UserError


def probe(path: Path, name: str, reason: str) -> tuple[int, int]:
    """Samples a second, and how many there are, 0 where the file does not tell.

    Args:
        path: the file.
        name: begins messages.
        reason: why soundfile does not read it, told where PyAV is missing.

    Raises:
        UserError: not a recording, or PyAV is not installed.
    """
    try:
        import av
    except ImportError:
        raise UserError(f"{name}: {reason}; for other formats: pip install mmtasks[media]") from None
    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            seconds = container.duration / 1e6 if container.duration else 0.0
            return int(stream.rate), int(seconds * stream.rate)
    except (av.FFmpegError, IndexError, ValueError) as error:
        told = " ".join(str(error).split()) or reason
        raise UserError(f"{name}: not a recording ({told}); give wav, flac, ogg or mp3") from None


def frames(path: Path, name: str) -> Iterator[np.ndarray[Any, Any]]:
    """The recording in pieces (T, channels) float32, of a few thousand samples each.

    Raises:
        UserError: damaged; the message begins with ``name``.
    """
    import av

    try:
        with av.open(str(path)) as container:
            planar = av.AudioResampler(format="fltp")
            for frame in container.decode(container.streams.audio[0]):
                for resampled in planar.resample(frame):
                    yield resampled.to_ndarray().T
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{name}: damaged or cut off ({' '.join(str(error).split())}); copy it again") from None
