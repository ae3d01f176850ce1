"""The sound of a summary, cut to the sample and encoded."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mmtasks.data.video_seek import Track

RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
"""Samples a second that AAC knows."""
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
"""By the number of channels; of any other number two are made."""
JITTER = 0.02
"""Seconds by which times of frames may differ from where their samples have come to: many files round them."""
BEFORE = 0.5
"""Seconds decoded in front of a segment, because the first samples after a seek are not yet right."""


class SoundWriter:
    """Samples of the segments, encoded one after the other.

    Args:
        target: the container, open for writing.
        track: the sound.
        segments: (start, end) in seconds from the first picture.
        zero: when the first picture is, by the file's own clock.
    """

    def __init__(self, target: Any, track: Track, segments: Sequence[tuple[float, float]], zero: float) -> None:
        self.target = target
        self.track = track
        self.rate = track.stream.rate if track.stream.rate in RATES else 48_000
        self.layout = LAYOUTS.get(track.stream.channels, "stereo")
        self.stream = target.add_stream("aac", rate=self.rate, layout=self.layout)
        self.stream.bit_rate = 96_000 * len(self.stream.layout.channels)
        self._blocks = self._cut(segments, zero)
        self._rest = self._silence(0)
        self._written = 0

    def until(self, seconds: float) -> None:
        """Encode up to so many seconds of the summary."""
        wanted = round(seconds * self.rate)
        while self._written < wanted:
            if not self._rest.shape[1]:
                block = next(self._blocks, None)
                if block is None:
                    return
                self._rest = block
            now, self._rest = np.split(self._rest, [wanted - self._written], axis=1)
            self._encode(now)

    def close(self) -> None:
        """Write what the encoder holds back."""
        self.target.mux(self.stream.encode())

    def _encode(self, samples: np.ndarray) -> None:
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), "fltp", self.layout)
        frame.rate, frame.pts, frame.time_base = self.rate, self._written, Fraction(1, self.rate)
        self._written += samples.shape[1]
        self.target.mux(self.stream.encode(frame))

    def _cut(self, segments: Sequence[tuple[float, float]], zero: float) -> Iterator[np.ndarray]:
        """Blocks (channels, T) of all segments. Where one ends is rounded of their sum, so that no error adds up."""
        before, done = 0.0, 0
        for start, end in segments:
            before += end - start
            first, count = round(start * self.rate), round(before * self.rate) - done
            yield from self._stretch(first, first + count, zero)
            done += count

    def _stretch(self, first: int, last: int, zero: float) -> Iterator[np.ndarray]:
        """Exactly the samples ``first`` to ``last - 1``, counted from the first picture, silent where none are."""
        at = first
        for place, samples in self._placed(first / self.rate - BEFORE, zero):
            if place >= last:
                break
            yield from self._still(place - at)
            at = max(at, place)
            part = samples[:, at - place : last - place]
            if part.shape[1]:
                yield part
            at += part.shape[1]
        yield from self._still(last - at)

    def _placed(self, seconds: float, zero: float) -> Iterator[tuple[int, np.ndarray]]:
        """Decoded pieces (channels, t), each with the number of its first sample, from ``seconds`` on."""
        import av

        at, kind, resampler = 0, None, None
        for told, frame in self.track.frames(zero + seconds):
            place = round((told - zero) * self.rate)
            if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
                kind = (frame.format.name, frame.layout.name, frame.sample_rate)
                resampler, at = av.AudioResampler("fltp", self.layout, self.rate), place
            elif abs(place - at) > JITTER * self.rate:
                at = place
            assert resampler is not None
            for piece in resampler.resample(frame):
                yield at, piece.to_ndarray()
                at += piece.samples

    def _still(self, count: int) -> Iterator[np.ndarray]:
        """So many samples of silence, a second at a time."""
        for done in range(0, count, self.rate):
            yield self._silence(min(self.rate, count - done))

    def _silence(self, count: int) -> np.ndarray:
        return np.zeros((len(self.stream.layout.channels), count), dtype=np.float32)
