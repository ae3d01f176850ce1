"""Cut a summary out of a video: its frames and its sound, in step, at the original size."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from mmtasks.data.video import opened, pictures, upright
from mmtasks.data.video_seek import EARLY, decoded
from mmtasks.errors import UserError

TICK = Fraction(1, 90_000)
"""The clock of what is written: fine enough for every frame rate, and for variable ones."""
CODECS = {"libx264": {"crf": "18", "preset": "veryfast"}, "mpeg4": {"qscale": "3"}}
"""The first that this FFmpeg has; quality that looks like the original."""
RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
"""Samples a second that AAC knows; sound of another rate is resampled to the last."""
GAP = 0.02
"""Seconds by which sound may be off its time before that is a gap, not the rounding of times."""

Span = tuple[float, float]
Progress = Callable[[float], None]


def cut(path: Path, segments: Sequence[Span], output: Path, *, progress: Progress | None = None) -> None:
    """Write an MP4 of the segments (start, end) in seconds, one after the other; whole or not at all.

    Frames keep their distances in time, whatever the frame rate; sound is cut to the sample. ``progress`` is told how
    many seconds are written.

    Raises:
        UserError: not a video, nothing decodes in the segments, or the file cannot be written.
    """
    import av

    beside = output.with_name(f".{output.name}.part")
    try:
        with opened(path) as source, av.open(str(beside), "w", format="mp4") as target:
            _write(source, target, path, segments, progress or (lambda seconds: None))
        beside.replace(output)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise UserError(f"{output}: cannot be written ({reason}); choose another --output") from None
    finally:
        beside.unlink(missing_ok=True)


def _write(source: Any, target: Any, path: Path, segments: Sequence[Span], progress: Progress) -> None:
    stream = pictures(source, path)
    sound = source.streams.audio[0] if source.streams.audio else None
    video, audio = _Pictures(target, stream), None if sound is None else _Sound(target, sound)
    zero = float((stream.start_time or 0) * stream.time_base)
    written = 0.0
    for start, end in segments:
        for seconds, frame in decoded(source, stream, start):
            if seconds >= end - EARLY:
                break
            if seconds >= start - EARLY:
                video.add(frame, written + max(seconds - start, 0.0))
                progress(written + seconds - start)
        if audio is not None:
            audio.add(_heard(source, sound, start + zero, end + zero, audio.rate))
        written += end - start
    if not video.count:
        raise UserError(f"{path}: nothing can be decoded within the summary; copy the video again")
    video.close(written)
    if audio is not None:
        audio.close()
    progress(written)


class _Pictures:
    """Frames, encoded with times of our own."""

    def __init__(self, target: Any, source: Any) -> None:
        self.target = target
        self.source = source
        self.stream: Any = None
        self.count = 0
        self._last = -1

    def add(self, frame: Any, seconds: float) -> None:
        """A frame to be shown at so many seconds; one that would not come later than the last is left out."""
        turned = round(frame.rotation / 90) % 4
        if turned:
            frame = type(frame).from_ndarray(upright(frame, None), "rgb24")
        if self.stream is None:
            self.stream = self._made(frame)
        at = round(seconds / TICK)
        if at <= self._last:
            return
        self._last = at
        shown = frame.reformat(width=self.stream.width, height=self.stream.height, format="yuv420p")
        shown.pts, shown.time_base, shown.pict_type = at, TICK, 0
        self.target.mux(self.stream.encode(shown))
        self.count += 1

    def close(self, seconds: float) -> None:
        """Write what the encoder holds back."""
        self.target.mux(self.stream.encode())

    def _made(self, frame: Any) -> Any:
        """An output stream of the frame's size, even as the format wants it."""
        import av

        codec = next(name for name in CODECS if name in av.codecs_available)
        stream = self.target.add_stream(codec, rate=self.source.average_rate or 25, options=CODECS[codec])
        stream.width, stream.height = max(2, frame.width // 2 * 2), max(2, frame.height // 2 * 2)
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = TICK
        return stream


class _Sound:
    """Samples, encoded one after the other."""

    def __init__(self, target: Any, source: Any) -> None:
        self.target = target
        self.rate = source.rate if source.rate in RATES else RATES[-1]
        self.layout = "mono" if source.channels == 1 else "stereo"
        self.stream = target.add_stream("aac", rate=self.rate, layout=self.layout)
        self._samples = 0

    def add(self, samples: np.ndarray) -> None:
        """Samples (channels, T) float32; mono or stereo."""
        import av

        if not samples.shape[1]:
            return
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self.layout)
        frame.rate, frame.pts, frame.time_base = self.rate, self._samples, Fraction(1, self.rate)
        self._samples += samples.shape[1]
        self.target.mux(self.stream.encode(frame))

    def close(self) -> None:
        """Write what the encoder holds back."""
        self.target.mux(self.stream.encode())


def _heard(source: Any, stream: Any, start: float, end: float, rate: int) -> np.ndarray:
    """Sound from ``start`` to ``end`` by the file's own clock -> (channels, T) float32, silence where there is none."""
    layout = "mono" if stream.channels == 1 else "stereo"
    samples = np.zeros((1 if layout == "mono" else 2, round((end - start) * rate)), dtype=np.float32)
    for at, piece in _pieces(source, stream, start, layout, rate):
        first = round((at - start) * rate)
        if first >= samples.shape[1]:
            break
        here = samples[:, max(first, 0) : max(first + piece.shape[1], 0)]
        here[:] = piece[:, max(-first, 0) : max(-first, 0) + here.shape[1]]
    return samples


def _pieces(source: Any, stream: Any, start: float, layout: str, rate: int) -> Iterator[tuple[float, np.ndarray]]:
    """Decoded pieces (channels, t) from a little before ``start`` on, each with its seconds by the file's clock."""
    import av

    zero = float((stream.start_time or 0) * stream.time_base)
    resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
    at: float | None = None
    for seconds, frame in decoded(source, stream, max(0.0, start - zero - 0.1)):
        if at is None or abs(seconds + zero - at) > GAP:
            at = seconds + zero
        for piece in resampler.resample(frame):
            values = piece.to_ndarray()
            yield at, values
            at += values.shape[1] / rate
