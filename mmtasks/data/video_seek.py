"""Parts of a video, without decoding what lies between them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from mmtasks.data.video import opened, pictures, upright
from mmtasks.data.video_rate import frame_rate, is_counted
from mmtasks.errors import UserError

EARLY = 1e-3
"""Seconds by which a frame may come too early: times of streams are rounded."""
BACK = (0.0, 2.0, 10.0, 60.0)
"""Seconds before the wanted time that are tried in turn: in some containers a seek ends behind where it should."""


def at_moments(path: str | Path, moments: Sequence[float], *, width: int) -> Iterator[np.ndarray]:
    """The picture (H, W, 3) uint8 that a file shows at each of these seconds, so many pixels wide, upright.

    Seconds count from the first frame.

    Raises:
        UserError: not a video, or nothing decodes there.
    """
    with Track(path) as track:
        zero = track.first
        for moment in moments:
            shown = None
            for seconds, frame in track.frames(zero + moment):
                if shown is not None and seconds > zero + moment + EARLY:
                    break
                shown = frame
            if shown is None:
                raise UserError(f"{path}: nothing can be decoded at {moment:.1f} s; copy the video again")
            yield narrowed(shown, width)


def narrowed(frame: Any, width: int) -> np.ndarray:
    """A decoded frame as (H, W, 3) uint8, so many pixels wide, upright."""
    sideways = round(frame.rotation / 90) % 2
    across, down = (frame.height, frame.width) if sideways else (frame.width, frame.height)
    return upright(frame, (max(1, round(width * down / across)), width))


class Track:
    """One stream of a file, read from any time on; seconds are by the file's own clock, which need not start at 0.

    Args:
        path: the file.
        kind: its ``video`` or its ``audio``.

    Raises:
        UserError: not a video, or one without pictures.
    """

    def __init__(self, path: str | Path, kind: Literal["video", "audio"] = "video") -> None:
        self.path = path
        self.kind = kind
        self._open()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.container.close()

    @property
    def has_sound(self) -> bool:
        """Whether the file has sound that this FFmpeg can decode."""
        found = self.container.streams.audio
        return bool(found) and found[0].codec_context is not None

    @property
    def first(self) -> float:
        """When the first frame is that can be decoded; also for sound that starts later or earlier than pictures."""
        found = next(self.frames(None), None)
        if found is None:
            raise UserError(f"{self.path}: not one frame can be decoded; copy the video again")
        return found[0]

    def frames(self, start: float | None) -> Iterator[tuple[float, Any]]:
        """Frames with their times, from one at or before ``start`` on; None for all. Damaged ones are left out."""
        for back in BACK if start is not None else ():
            assert start is not None
            found = self._from(start - back)
            if found is None:
                break
            first = next(found, None)
            if first is not None and first[1].time is None:  # counted, which only works from the beginning
                break
            if first is not None and first[0] <= start + EARLY:
                yield first
                yield from found
                return
        self.container.close()
        self._open()
        yield from self._decoded()

    def _open(self) -> None:
        self.container = opened(self.path)
        self.stream = pictures(self.container, self.path) if self.kind == "video" else self.container.streams.audio[0]
        self.stream.thread_type = "AUTO"

    def _from(self, seconds: float) -> Iterator[tuple[float, Any]] | None:
        """Frames from the last key frame before on; None where there is none, or the container cannot say."""
        import av

        tick = self.stream.time_base
        if seconds <= (self.stream.start_time or 0) * tick:
            return None
        try:
            self.container.seek(int(seconds / tick), stream=self.stream)
        except av.FFmpegError:
            return None
        return self._decoded()

    def _decoded(self) -> Iterator[tuple[float, Any]]:
        """From where the container is. Frames without a time, as in bare streams, follow each other at the usual rate.

        Such streams can only be read from their beginning. Where frames must be counted, the first tells where from.
        """
        usual, at = usual_step(self.stream), 0.0
        trusted = True
        for packet in self._packets():
            for frame in _of_packet(self.stream, packet):
                at = frame.time if trusted and frame.time is not None else at
                yield at, frame
                at += usual
                trusted = self.kind == "audio" or not is_counted(self.stream)

    def _packets(self) -> Iterator[Any]:
        """The last one is empty: time for the decoder to give what it holds back."""
        import av

        packets = self.container.demux(self.stream)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                yield None
                return
            if packet is None:
                return
            yield packet


def _of_packet(stream: Any, packet: Any) -> list[Any]:
    import av

    try:
        return list(stream.codec_context.decode(packet))
    except (av.FFmpegError, EOFError):
        return []


def usual_step(stream: Any) -> float:
    """Seconds from one picture to the next, on average; 0 for sound."""
    if stream.type != "video":
        return 0.0
    return 1 / frame_rate(stream)
