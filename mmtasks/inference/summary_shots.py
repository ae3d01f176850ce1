"""Shots in time: when each is, how long it lasts, and what becomes of those that no summary can hold."""

from itertools import pairwise

import numpy as np

from mmtasks.types import Annotation

Span = tuple[float, float]
"""From when to when, in seconds."""
ROUNDING = 1e-6


def shot_spans(video: Annotation, seconds: np.ndarray) -> list[Span]:
    """When each shot is, by the times of the steps (T,), which the file tells, whatever its rate; evenly in between."""
    frames, times = _clock(video, seconds)
    edges = np.interp([*video.change_points[:, 0], video.n_frames], frames, times)
    return [(float(start), float(stop)) for start, stop in pairwise(edges)]


def lasting(video: Annotation, spans: list[Span]) -> np.ndarray | None:
    """How many seconds each shot lasts (S,); None where frames come evenly, and counting them is exact."""
    step = spans[-1][1] / video.n_frames
    starts = np.array([start for start, _ in spans])
    if np.abs(starts - video.change_points[:, 0] * step).max() <= step / 2:
        return None
    return np.maximum(np.diff(starts, append=spans[-1][1]), ROUNDING)


def in_pieces(video: Annotation, seconds: np.ndarray, longest: float) -> Annotation:
    """Every shot that lasts more than ``longest`` seconds in parts that last equally long, of a frame at least."""
    frames, times = _clock(video, seconds)
    edges = [np.zeros(0, dtype=np.int64)]
    for (first, last), (start, end) in zip(video.change_points, shot_spans(video, seconds), strict=True):
        count = last + 1 - first
        most = max(int(longest * count / max(end - start, ROUNDING) + ROUNDING), 1)
        parts = np.linspace(start, end, -(-count // most), endpoint=False)
        inner = np.floor(np.interp(parts[1:], times, frames) + ROUNDING).astype(np.int64)
        edges.append(np.unique([first, *inner.clip(first, last)]))
    starts = np.concatenate(edges)
    shots = np.stack([starts, np.append(starts[1:], video.n_frames) - 1], axis=1)
    return video._replace(change_points=shots)


def _clock(video: Annotation, seconds: np.ndarray) -> tuple[list[float], list[float]]:
    """Frames and when they are shown, from the first to the end of the last."""
    last = float(seconds[-1])
    rate = video.fps or (video.picks[-1] / last if last > 0 else 1.0)
    end = max(video.n_frames / rate, last)
    return [0, *video.picks, video.n_frames], [0.0, *seconds, end]
