"""The sound of a video on the clock of its pictures, in pieces."""

from collections.abc import Iterable, Iterator

import numpy as np

from mmtasks.data.video_seek import Track

JITTER = 0.02
"""Seconds by which times of frames may differ from where their samples have come to: many files round them."""
Placed = tuple[int, np.ndarray]
"""The number of the first sample, and the samples (channels, t)."""


def pieces(
    track: Track, zero: float, *, rate: int, layout: str | None = None, start: float | None = None
) -> Iterator[Placed]:
    """Decoded pieces, counted from the first picture on. Damaged ones are left out.

    Args:
        track: the sound.
        zero: when the first picture is, by the file's own clock.
        rate: samples a second.
        layout: of the channels; None for the file's own.
        start: seconds from the first picture, at or before which to begin; None for the beginning.
    """
    import av

    at, kind, resampler = 0, None, None
    for told, frame in track.frames(None if start is None else zero + start):
        place = round((told - zero) * rate)
        if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
            kind = (frame.format.name, frame.layout.name, frame.sample_rate)
            resampler, at = av.AudioResampler("fltp", layout, rate), place
        elif abs(place - at) > JITTER * rate:
            at = place
        assert resampler is not None
        for piece in resampler.resample(frame):
            yield at, piece.to_ndarray()
            at += piece.samples


def continuous(placed: Iterable[Placed], first: int, last: int, *, channels: int, at_once: int) -> Iterator[np.ndarray]:
    """Exactly the samples ``first`` to ``last - 1``, (channels, t) each, silent where none are.

    Silence comes in pieces of at most ``at_once`` samples.
    """
    at = first
    for place, samples in placed:
        if place >= last:
            break
        yield from _silence(place - at, channels, at_once)
        at = max(at, place)
        part = samples[:, at - place : last - place]
        if part.shape[1]:
            yield part
        at += part.shape[1]
    yield from _silence(last - at, channels, at_once)


def _silence(count: int, channels: int, at_once: int) -> Iterator[np.ndarray]:
    for done in range(0, count, at_once):
        yield np.zeros((channels, min(at_once, count - done)), dtype=np.float32)
