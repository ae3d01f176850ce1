"""Video files, decoded by PyAV (extra: ``video``): any container and codec that FFmpeg knows, a few frames a second.

What a file's header says is not trusted: frames are counted and timed as they are decoded.
"""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mmtasks.errors import UserError


class VideoInfo(NamedTuple):
    """What a file's header says, rotation applied to its size. n_frames, seconds: 0 where it does not tell."""

    fps: float
    n_frames: int
    seconds: float
    width: int
    height: int
    rotation: int
    has_sound: bool


class Frame(NamedTuple):
    """One picture of a video. index: counted from 0; seconds: from the first frame; image: (H, W, 3) uint8 RGB."""

    index: int
    seconds: float
    image: np.ndarray


class Sampled(NamedTuple):
    """How much of a video was seen. n_frames: decoded; seconds: to the end of the last; problem: what cut it off."""

    n_frames: int
    seconds: float
    problem: str = ""


def probe(path: str | Path) -> VideoInfo:
    """What the header says of the first video stream.

    Raises:
        UserError: no such file, not a video, or one without pictures.
    """
    import av

    with _opened(path) as container:
        stream = _stream(container, path)
        rotation = 0
        try:
            first = next(container.decode(stream))
        except (StopIteration, av.FFmpegError):
            raise UserError(f"{path}: no picture in it can be decoded; copy the file again") from None
        rotation = first.rotation % 360
        width, height = first.width, first.height
        if rotation % 180:
            width, height = height, width
        seconds = (container.duration or 0) / 1e6
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        return VideoInfo(fps, stream.frames, seconds, width, height, rotation, bool(container.streams.audio))


class VideoFrames:
    """The frames of a file at ``rate`` a second: of each stretch of 1 / rate seconds the first, upright, in order.

    After an iteration, ``seen`` says how much there was; what comes after damage is left out and told there.

    Args:
        path: the file.
        rate: frames a second, above 0; None for every frame.
        size: (height, width) to squeeze to; None for the video's own.

    Raises:
        UserError: no such file, not a video, or no picture that can be decoded.
    """

    def __init__(self, path: str | Path, *, rate: float | None = None, size: tuple[int, int] | None = None) -> None:
        if rate is not None and rate <= 0:
            raise ValueError(f"rate {rate} must be above 0 frames a second")
        self.path = Path(path)
        self.rate = rate
        self.size = size
        self.seen: Sampled | None = None

    def __iter__(self) -> Iterator[Frame]:
        import av

        count, start, last, step, slot, problem = 0, None, 0.0, 0.0, -1, ""
        with _opened(self.path) as container:
            stream = _stream(container, self.path)
            stream.thread_type = "AUTO"
            usual = 1 / float(stream.average_rate or 25)
            try:
                for frame in container.decode(stream):
                    at = frame.time if frame.time is not None else (start or 0.0) + last + usual
                    start = at if start is None else start
                    step = at - start - last if count else usual
                    last = at - start
                    if self.rate is None or math.floor(last * self.rate + 1e-6) > slot:
                        slot = slot if self.rate is None else math.floor(last * self.rate + 1e-6)
                        yield Frame(count, last, self._picture(frame))
                    count += 1
            except av.FFmpegError as error:
                problem = " ".join(str(error.strerror or error).split())
        if not count:
            raise UserError(f"{self.path}: no picture in it can be decoded ({problem or 'none'}); copy the file again")
        self.seen = Sampled(count, last + (step if step > 0 else usual), problem)
        if problem:
            warnings.warn(
                f"{self.path}: cut off or damaged after {last:.1f} s ({problem}); used up to there", stacklevel=2
            )

    def _picture(self, frame: Any) -> np.ndarray:
        """(H, W, 3) uint8, upright; scaled by FFmpeg, which is cheaper than decoding at full size to RGB."""
        quarter = round(frame.rotation / 90) % 4
        if self.size is None:
            return upright(frame.to_ndarray(format="rgb24"), quarter)
        height, width = self.size if quarter % 2 == 0 else self.size[::-1]
        small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
        return upright(small.to_ndarray(), quarter)


def upright(image: np.ndarray, quarter: int) -> np.ndarray:
    """Turned by so many quarters against the clock, as the file says that it was filmed."""
    return np.ascontiguousarray(np.rot90(image, quarter)) if quarter else image


def _opened(path: str | Path) -> Any:
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: videos need PyAV: pip install 'mmtasks[video]'") from None
    try:
        return av.open(str(path))
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{path}: no such video; check the path") from None
    except (av.FFmpegError, ValueError) as error:
        told = " ".join(str(getattr(error, "strerror", "") or error).split())
        raise UserError(f"{path}: not a video ({told}); give an mp4, mkv, webm or another that FFmpeg reads") from None


def _stream(container: Any, path: str | Path) -> Any:
    if not container.streams.video:
        raise UserError(f"{path}: has no pictures, only sound; give a video")
    return container.streams.video[0]
