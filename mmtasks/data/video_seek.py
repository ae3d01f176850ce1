"""Parts of a video, without decoding what lies between them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mmtasks.data.video import opened, pictures, upright
from mmtasks.errors import UserError

EARLY = 1e-3
"""Seconds by which a frame may come too early: times of streams are rounded."""


def at_moments(path: Path, moments: Sequence[float], *, width: int) -> Iterator[np.ndarray]:
    """The picture (H, W, 3) uint8 that a file shows at each of these seconds, so many pixels wide, upright.

    Raises:
        UserError: not a video, or nothing decodes there.
    """
    with opened(path) as container:
        stream = pictures(container, path)
        for moment in moments:
            shown = None
            for seconds, frame in decoded(container, stream, moment):
                if shown is not None and seconds > moment + EARLY:
                    break
                shown = frame
            if shown is None:
                raise UserError(f"{path}: nothing can be decoded at {moment:.1f} s; copy the video again")
            sideways = round(shown.rotation / 90) % 2
            long, short = (shown.height, shown.width) if sideways else (shown.width, shown.height)
            yield upright(shown, (max(1, round(width * short / long)), width))


def decoded(container: Any, stream: Any, start: float) -> Iterator[tuple[float, Any]]:
    """Frames of a stream from the last key frame before ``start`` on, each with its seconds from the first frame.

    A stream that cannot be sought is decoded from where it is.
    """
    import av

    zero = float((stream.start_time or 0) * stream.time_base)
    try:
        container.seek(max(0, int((start + zero) / stream.time_base)), stream=stream, backward=True)
    except av.FFmpegError:
        container.seek(0)
    frames = container.decode(stream)
    while True:
        try:
            frame = next(frames)
        except (StopIteration, av.FFmpegError):
            return
        if frame.time is not None:
            yield frame.time - zero, frame
