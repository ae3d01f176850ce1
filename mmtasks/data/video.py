"""Open video files safely and look at them at a steady rate, through PyAV (extra: ``video``)."""

import math
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from mmtasks.data.video_packets import Kept, Timeline, all_frames, skipping
from mmtasks.data.video_rate import frame_rate, is_counted
from mmtasks.errors import UserError

SHORT = 0.9
"""Share of the length in the header below which a video counts as cut off."""
SKIPPABLE = ("h264", "hevc")
"""Codecs whose pictures that no other needs can be left out one by one; in others everything is decoded."""


class VideoInfo(NamedTuple):
    """What a file says of itself, which decoding may not bear out. width, height: as shown, after rotation.

    fps: frames a second, on average. n_frames: estimated where the header has none. rotation: degrees counterclockwise
    by which the stored pictures are turned to be shown, a multiple of 90.
    """

    fps: float
    n_frames: int
    seconds: float
    width: int
    height: int
    rotation: int
    has_sound: bool


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """index: of all frames of the video, in order of showing; seconds: since the first; image: (H, W, 3) uint8 RGB."""

    index: int
    seconds: float
    image: np.ndarray


def probe(path: str | Path) -> VideoInfo:
    """What the header says, and the first frame.

    Raises:
        UserError: no such file, not a video, no picture in it, or PyAV is not installed.
    """
    with opened(path) as container:
        stream = pictures(container, path)
        frame = next(_first(container, stream), None)
        if frame is None:
            raise _empty(path)
        fps, turn = frame_rate(stream), _turn(frame)
        seconds = _length(container, stream, (frame.pts or 0) * _tick(stream))
        width, height = (frame.height, frame.width) if turn % 180 else (frame.width, frame.height)
        count = stream.frames or max(1, round(seconds * fps))
        return VideoInfo(fps, count, seconds or count / fps, width, height, turn, bool(container.streams.audio))


def frames(path: str | Path, *, rate: float, size: tuple[int, int] | None = None, threads: int = 0) -> "Frames":
    """The first frame of every interval of ``1 / rate`` seconds that has one, by the frames' own times.

    Frames are turned as they are to be shown, and full-range RGB. Only those that are kept are converted, and in H.264
    and H.265 of the others only those are decoded that something depends on.

    Args:
        path: the file.
        rate: frames a second; infinite for all.
        size: (height, width) to which they are squeezed; None for their own.
        threads: of the decoder; 0 for as many as there are cores.

    Raises:
        UserError: as ``probe``, and when iterated where nothing can be decoded.
    """
    if not rate > 0:
        raise ValueError(f"rate {rate} must be above 0")
    if size is not None and min(size) < 1:
        raise ValueError(f"size {size} must be a height and a width of at least 1")
    return Frames(path, rate, size, threads)


class Frames(Iterator[Frame]):
    """An iterator that knows, once it is through, how many frames the video has.

    ``count``: frames met so far; ``seconds``: the time of the last of them; ``fps``: by these two; ``problem``: why the
    video may not be whole, which is also printed to standard error as a line, or "".
    """

    def __init__(self, path: str | Path, rate: float, size: tuple[int, int] | None, threads: int) -> None:
        self.path = path
        self.problem = ""
        self._size = size
        self._container = opened(path)
        self._stream = pictures(self._container, path)
        self._stream.thread_type = "AUTO"
        self._stream.codec_context.thread_count = threads
        self._usual = frame_rate(self._stream)
        self._timeline = Timeline(rate, _tick(self._stream), 1 / self._usual)
        self._run = self._decode()

    def __next__(self) -> Frame:
        return next(self._run)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file before the end."""
        self._run.close()
        self._container.close()

    @property
    def count(self) -> int:
        """Frames of the video met so far."""
        return self._timeline.count

    @property
    def seconds(self) -> float:
        """The time of the last frame met, since the first."""
        return self._timeline.last

    @property
    def fps(self) -> float:
        """Frames a second so far; of a single frame as the header says."""
        return (self.count - 1) / self.seconds if self.seconds > 0 else self._usual

    def _decode(self) -> Generator[Frame]:
        found = 0
        with self._container:
            for index, seconds, frame in self._kept():
                found += 1
                yield Frame(index, seconds, upright(frame, self._size))
            if not found:
                raise _empty(self.path)
            self._check_end()

    def _kept(self) -> Kept:
        """Without decoding the others where the codec allows it, and the file tells when its frames are shown."""
        if self._stream.codec_context.name in SKIPPABLE and not is_counted(self._stream):
            zero = _first_time(self.path)
            if zero is not None:
                return skipping(self._container, self._stream, self._timeline, zero)
        return all_frames(self._container, self._stream, self._timeline, counted=is_counted(self._stream))

    def _check_end(self) -> None:
        told, lost = _length(self._container, self._stream, self._timeline.start), self._timeline.broken
        shown = self.seconds + 1 / self.fps
        if lost:
            self.problem = f"{lost} parts are damaged"
        if told > 1 and shown < SHORT * told:
            self.problem = f"ends after {shown:.1f} s, though its header says {told:.1f} s"
        if self.problem:
            line = f"{self.path}: {self.problem}; what can be decoded is used, copy it again for the rest"
            print(f"mmtasks: warning: {line}", file=sys.stderr)


def opened(path: str | Path) -> Any:
    """The open container.

    Raises:
        UserError: no such file, or not a video.
    """
    try:
        import av
    except ImportError:
        raise UserError(f"{path}: videos need PyAV: pip install 'mmtasks[video]'") from None
    if not Path(path).is_file():
        raise UserError(f"{path}: no such video; check the path")
    if not Path(path).stat().st_size:
        raise UserError(f"{path}: the file is empty; copy it again")
    try:
        container = av.open(str(path), metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"{path}: not a video, or cut off ({reason}); give mp4, mkv, webm, mov or avi") from None
    if container.format.name == "tty":  # FFmpeg draws any text
        container.close()
        raise UserError(f"{path}: a text, not a video; give mp4, mkv, webm, mov or avi")
    return container


def pictures(container: Any, path: str | Path) -> Any:
    """The first stream of moving pictures; a sound file's cover is none."""
    from av.stream import Disposition

    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.codec_context is not None:
            return stream
    container.close()
    raise UserError(f"{path}: has no stream of pictures; give a video")


def _empty(path: str | Path) -> UserError:
    return UserError(f"{path}: not one frame can be decoded; copy the video again")


def _first(container: Any, stream: Any) -> Iterator[Any]:
    for _, _, frame in all_frames(container, stream, Timeline(math.inf, _tick(stream), 1.0)):
        yield frame


def _first_time(path: str | Path) -> int | None:
    """When the first frame is shown that can be decoded, in ticks; None where there is none, or it has no time."""
    with opened(path) as container:
        frame = next(_first(container, pictures(container, path)), None)
        return None if frame is None else frame.pts


def _tick(stream: Any) -> float:
    return float(stream.time_base or 1e-6)


def _length(container: Any, stream: Any, start: float) -> float:
    """Seconds by the header, 0 where it does not tell; start: seconds of the first frame by the file's clock.

    Where only the container tells, as Matroska, it counts from 0, not from the first frame.
    """
    if stream.duration:
        return max(0.0, float(stream.duration * stream.time_base))
    return max(0.0, (container.duration or 0) / 1e6 - max(0.0, start))


def _turn(frame: Any) -> int:
    return round(frame.rotation / 90) * 90


def upright(frame: Any, size: tuple[int, int] | None) -> np.ndarray:
    """(H, W, 3) uint8 RGB, full range, upright."""
    turn = _turn(frame)
    height, width = size or (None, None)
    if turn % 180:
        height, width = width, height
    rgb = frame.reformat(width=width, height=height, format="rgb24", dst_color_range="JPEG", threads=1).to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, turn // 90)) if turn else rgb
