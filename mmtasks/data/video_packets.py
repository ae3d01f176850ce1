"""Which frames of a video to decode, and which to keep."""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from mmtasks.errors import UserError

AHEAD = 32
"""Packets looked at before one is decided on: more than frames can be out of order, which in H.264 and H.265 is 16."""
JUMP = 1.0
"""Seconds that the clock of a file may go back, as it does where a part is damaged."""
EARLY = 1e-3
"""Part of an interval that a frame may come early: times are rounded, in some files to milliseconds."""


class Timeline:
    """Counts frames in the order of showing, and says which are the first of their interval.

    ``count``: frames so far; ``start``: seconds of the first by the file's clock; ``last``: seconds from it to the
    latest; ``broken``: packets that could not be decoded.

    Args:
        rate: intervals a second.
        tick: seconds of a unit of time in the file.
        step: seconds between frames that have no time of their own.
    """

    def __init__(self, rate: float, tick: float, step: float) -> None:
        self.rate = rate
        self.tick = tick
        self.step = step
        self.count = 0
        self.last = 0.0
        self.broken = 0
        self._start: int | None = None
        self._interval = -math.inf

    @property
    def start(self) -> float:
        """0 where frames have no time of their own."""
        return (self._start or 0) * self.tick

    def wants(self, time: int | None) -> float | None:
        """The seconds of the next frame if it is to be kept, else None."""
        if time is None:
            seconds = self.last + self.step if self.count else 0.0
        else:
            self._start = time if self._start is None else self._start
            seconds = (time - self._start) * self.tick
        self.count += 1
        self.last = max(self.last, seconds)
        interval = seconds if math.isinf(self.rate) else math.floor(seconds * self.rate + EARLY)
        if interval <= self._interval:
            return None
        self._interval = interval
        return seconds


Kept = Iterator[tuple[int, float, Any]]
"""Index, seconds and frame of each that is kept."""


def all_frames(container: Any, stream: Any, timeline: Timeline, *, counted: bool = False) -> Kept:
    """Decodes everything. ``counted``: by the number of frames, not by what they tell."""
    for packet in _packets(container, stream, timeline):
        for frame in _decoded(packet, stream, timeline):
            seconds = timeline.wants(None if counted else frame.pts)
            if seconds is not None:
                yield timeline.count - 1, seconds, frame


def skipping(container: Any, stream: Any, timeline: Timeline, zero: int) -> Kept:
    """Decodes frames to keep and those that others depend on: their packets' times tell which, before decoding.

    ``zero``: the time of the first frame that can be decoded; packets before it depend on what the file does not hold.
    """
    kept: dict[int, tuple[int, float]] = {}
    for packet in _ahead(_packets(container, stream, timeline), timeline, kept, zero):
        if packet is not None:
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts in kept else "NONREF"
        for frame in _decoded(packet, stream, timeline):
            if frame.pts in kept:
                yield *kept.pop(frame.pts), frame


def _ahead(packets: Iterable[Any], timeline: Timeline, kept: dict[int, tuple[int, float]], zero: int) -> Iterator[Any]:
    """Packets in the order of the file, each once it is known whether its frame is to be kept, which ``kept`` tells."""
    waiting: deque[Any] = deque()
    times: list[int] = []
    known = zero - 1
    for packet in packets:
        waiting.append(packet)
        if packet is not None and packet.pts is not None and packet.pts >= zero and not packet.is_discard:
            heapq.heappush(times, packet.pts)
        while times and (packet is None or len(times) > AHEAD):
            known = heapq.heappop(times)
            seconds = timeline.wants(known)
            if seconds is not None:
                kept[known] = (timeline.count - 1, seconds)
        while waiting and (packet is None or waiting[0].pts is None or waiting[0].pts <= known):
            yield waiting.popleft()


def _packets(container: Any, stream: Any, timeline: Timeline) -> Iterator[Any]:
    """All packets, then None: time for the decoder to give what it holds back.

    Raises:
        UserError: the clock jumps back; what follows could not be found again by its time.
    """
    import av

    first, latest = None, None
    try:
        for packet in container.demux(stream):
            if packet.dts is not None:
                first, latest = (packet.dts, packet.dts) if first is None or latest is None else (first, latest)
                if (latest - packet.dts) * timeline.tick > JUMP:
                    raise UserError(_jump(container.name, (latest - first) * timeline.tick))
                latest = packet.dts
            if packet.size:
                yield packet
    except av.FFmpegError:
        timeline.broken += 1
    yield None


def _jump(path: str, seconds: float) -> str:
    return (
        f"{path}: its clock jumps back after {seconds:.1f} s, as where files were joined end to end; "
        f"write it anew (ffmpeg -i {path} -c copy NEW.mp4) and give that"
    )


def _decoded(packet: Any, stream: Any, timeline: Timeline) -> list[Any]:
    """The frames of a packet; none of one that is damaged."""
    import av

    try:
        return list(stream.codec_context.decode(packet))
    except av.FFmpegError:
        timeline.broken += 1
        return []
