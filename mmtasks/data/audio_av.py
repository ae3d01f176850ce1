"""Recordings that soundfile does not read, through PyAV (extra: ``media``)."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mmtasks.errors import UserError

STATING = {"matroska", "mov", "asf"}
"""Formats, as FFmpeg calls them, that state how long a recording is before it begins."""
TOLERANCE, SHARE = 1.0, 0.02
"""A recording is cut off if it ends so many seconds, and so much of its length, before it should."""


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
        UserError: damaged, or, at its end, cut off; the message begins with ``name``.
    """
    import av

    try:
        with av.open(str(path)) as container:
            stream = container.streams.audio[0]
            planar = av.AudioResampler(format="fltp")
            end, seconds = 0.0, 0.0
            for frame in container.decode(stream):
                seconds += frame.samples / frame.sample_rate
                end = (frame.time or 0.0) + frame.samples / frame.sample_rate
                for resampled in planar.resample(frame):
                    yield resampled.to_ndarray().T
            stated = _stated(container, stream)
    except (av.FFmpegError, ValueError) as error:
        raise UserError(f"{name}: damaged or cut off ({' '.join(str(error).split())}); copy it again") from None
    if stated - max(end, seconds) > TOLERANCE + SHARE * stated:
        raise UserError(f"{name}: the recording is cut off; copy it again")


def _stated(container: Any, stream: Any) -> float:
    """Seconds of sound that the file states, wherever it ends; 0 where it states none.

    FFmpeg gives other formats a length too, guessed from what there is; a film's may be that of its pictures.
    """
    if not STATING.intersection(container.format.name.split(",")):
        return 0.0
    if stream.duration:
        return float(stream.duration * stream.time_base)
    whole = container.duration / 1e6 if container.duration else 0.0
    if tag := re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", stream.metadata.get("DURATION", "")):
        return min(whole, 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3]))
    return whole if all(other.type == "audio" for other in container.streams) else 0.0
