"""The sound of a summary, cut to the sample and encoded."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from mmtasks.data.sound_track import continuous, pieces
from mmtasks.data.video_seek import Track

RATES = (8000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 64_000, 88_200, 96_000)
"""Samples a second that AAC knows."""
LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}
"""By the number of channels; of any other number two are made."""
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
        self.stream.bit_rate = 96_000 * self._channels
        self._blocks = self._cut(segments, zero)
        self._rest = np.zeros((self._channels, 0), dtype=np.float32)
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
        placed = pieces(self.track, zero, rate=self.rate, layout=self.layout, start=first / self.rate - BEFORE)
        return continuous(placed, first, last, channels=self._channels, at_once=self.rate)

    @property
    def _channels(self) -> int:
        return len(self.stream.layout.channels)
