"""Which frames of a video to decode, and which to keep."""

import heapq
import math
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

AHEAD = 32
"""Packets looked at before one is decided on: more than frames can be out of order, which in H.264 and H.265 is 16."""
EARLY = 1e-3
"""Part of an interval that a frame may come early: times are rounded, in some files to milliseconds."""


class Timeline:
    """Counts frames in the order of showing, and says which are the first of their interval.

    ``count``: frames so far; ``last``: seconds from the first frame to the latest; ``broken``: packets that could not
    be decoded.

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


def all_frames(container: Any, stream: Any, timeline: Timeline) -> Kept:
    """Decodes everything."""
    for packet in _packets(container, stream, timeline):
        for frame in _decoded(packet, stream, timeline):
            seconds = timeline.wants(frame.pts)
            if seconds is not None:
                yield timeline.count - 1, seconds, frame


def skipping(container: Any, stream: Any, timeline: Timeline) -> Kept:
    """Decodes frames to keep and those that others depend on: their packets' times tell which, before decoding."""
    kept: dict[int, tuple[int, float]] = {}
    for packet in _ahead(_packets(container, stream, timeline), timeline, kept):
        if packet is not None:
            stream.codec_context.skip_frame = "DEFAULT" if packet.pts in kept else "NONREF"
        for frame in _decoded(packet, stream, timeline):
            if frame.pts in kept:
                yield *kept.pop(frame.pts), frame


def _ahead(packets: Iterable[Any], timeline: Timeline, kept: dict[int, tuple[int, float]]) -> Iterator[Any]:
    """Packets in the order of the file, each once it is known whether its frame is to be kept, which ``kept`` tells."""
    waiting: deque[Any] = deque()
    times: list[int] = []
    known = -math.inf
    for packet in packets:
        waiting.append(packet)
        if packet is not None and packet.pts is not None and not packet.is_discard:
            heapq.heappush(times, packet.pts)
        while times and (packet is None or len(times) > AHEAD):
            known = heapq.heappop(times)
            seconds = timeline.wants(int(known))
            if seconds is not None:
                kept[int(known)] = (timeline.count - 1, seconds)
        while waiting and (packet is None or waiting[0].pts is None or waiting[0].pts <= known):
            yield waiting.popleft()


def _packets(container: Any, stream: Any, timeline: Timeline) -> Iterator[Any]:
    """All packets, then None: time for the decoder to give what it holds back."""
    import av

    try:
        for packet in container.demux(stream):
            if packet.size:
                yield packet
    except av.FFmpegError:
        timeline.broken += 1
    yield None


def _decoded(packet: Any, stream: Any, timeline: Timeline) -> list[Any]:
    """The frames of a packet; none of one that is damaged."""
    import av

    try:
        return list(stream.codec_context.decode(packet))
    except av.FFmpegError:
        timeline.broken += 1
        return []
