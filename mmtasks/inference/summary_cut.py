"""Cut a summary out of a video: its pictures and its sound, in step, at the original size."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mmtasks.data.video_seek import EARLY, Track, usual_step
from mmtasks.errors import UserError
from mmtasks.inference.summary_pictures import PictureWriter
from mmtasks.inference.summary_sound import SoundWriter

Span = tuple[float, float]
"""From when to when, in seconds."""
Progress = Callable[[float], None]
Watch = Callable[[Any, float, float], None]
SHORT = 0.1
"""Seconds for which most frames are seen at most; one that is seen longer is not left out for being cut."""


def cut(
    path: Path,
    segments: Sequence[Span],
    output: Path,
    *,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> None:
    """Write an MP4 of the segments of a video, one after the other; all of it or nothing.

    Frames keep their distances in time, whatever their rate. Sound is cut to the sample, and is silent where the video
    has none. Holds a few frames and at most a second of sound at a time.

    Args:
        path: the video.
        segments: (start, end) of each, in seconds from the first frame, in order and apart from each other.
        output: the file to write.
        progress: told how many seconds are written.
        watch: shown each frame that is written, and from when to when the video shows it, in seconds.

    Raises:
        ValueError: the segments are none, or out of order.
        UserError: not a video, nothing decodes in the segments, or the output cannot be written.
    """
    joined = _joined(segments)
    with ExitStack() as stack:
        track = stack.enter_context(Track(path))
        if output.exists() and output.samefile(path):
            raise UserError(f"{path}: would be overwritten by its own summary; choose another --output")
        zero = track.first
        target = stack.enter_context(_target(output))
        pictures = PictureWriter(target, track.stream)
        sound = None
        if track.has_sound:
            sound = SoundWriter(target, stack.enter_context(Track(path, "audio")), joined, zero)
        for frame, start, end in _shown(track, joined, zero, watch):
            pictures.add(frame, start, end)
            if sound is not None:
                sound.until(end)
            if progress is not None:
                progress(end)
        if not pictures.count:
            raise UserError(f"{path}: nothing can be decoded within the summary; copy the video again")
        pictures.close()
        if sound is not None:
            sound.close()


def _joined(segments: Sequence[Span]) -> list[Span]:
    """Those that touch each other become one."""
    joined: list[Span] = []
    for start, end in segments:
        if not (joined[-1][1] if joined else 0.0) <= start < end:
            raise ValueError(f"segments {list(segments)} must each be start < end in seconds, one after the other")
        if joined and start - joined[-1][1] < EARLY:
            start = joined.pop()[0]
        joined.append((start, end))
    if not joined:
        raise ValueError("segments must be at least one (start, end)")
    return joined


@contextmanager
def _target(output: Path) -> Iterator[Any]:
    """A container that is written beside the output and takes its place once it is whole."""
    import av

    beside = output.with_name(f".{output.name}.part")
    try:
        with av.open(str(beside), "w", format="mp4", options={"movflags": "+faststart"}) as target:
            yield target
        beside.replace(output)
    except (OSError, av.FFmpegError) as error:
        reason = error.strerror or " ".join(str(error).split())
        raise UserError(f"{output}: cannot be written ({reason}); choose another --output") from None
    finally:
        beside.unlink(missing_ok=True)


def _shown(
    track: Track, segments: Sequence[Span], zero: float, watch: Watch | None
) -> Iterator[tuple[Any, float, float]]:
    """Every frame of the summary, and from when to when it is seen there, in seconds."""
    before, count = 0.0, 0
    for start, end in segments:
        for frame, first, last in _within(track, start, end, zero):
            if watch is not None:
                watch(frame, first, last)
            yield frame, (before + first - start) if count else 0.0, before + last - start
            count += 1
        before += end - start


def _within(track: Track, start: float, end: float, zero: float) -> Iterator[tuple[Any, float, float]]:
    """Frames of one segment, and from when to when each is seen, in seconds from the first frame of the video.

    One that came long before and still stands is seen too. Of one that came just before, the rest is left out.
    """
    usual = usual_step(track.stream)
    shown, since = None, 0.0
    for seconds, frame in track.frames(zero + start):
        at = seconds - zero
        until = min(at, end)
        if shown is not None and (since >= start - EARLY or until - start > 1.5 * min(usual, SHORT)):
            yield shown, max(since, start), until
        if at >= end - EARLY:
            return
        shown, since = frame, at
    if shown is not None:  # the last of the video
        until = min(end, since + (float((shown.duration or 0) * shown.time_base) or usual))
        if until > start:
            yield shown, max(since, start), until
