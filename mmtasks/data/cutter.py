"""A recording's cut into pieces, at silences where there are any."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mmtasks.data.audio import Audio
from mmtasks.data.voice_activity import FRAME_SECONDS, SILENCE, SPEECH, Detector


class Piece(NamedTuple):
    """A part of a recording.

    audio: the part and some of both sides; start, end: seconds into the recording, without that; shared: it was cut
    out of ongoing speech, so that words of its neighbours may be heard in it.
    """

    audio: Audio
    start: float
    end: float
    shared: bool


class Span(NamedTuple):
    """Frames of a recording, first and behind the last; within, goes_on: speech goes on before it, and after it."""

    begin: int
    end: int
    within: bool
    goes_on: bool


class Cutter:
    """Cuts a recording at silences, and where somebody goes on for too long, at the least likely speech.

    Args:
        detector: finds speech.
        max_seconds: the longest piece, without what is kept on both sides.
        silence: seconds without speech at which a piece ends.
        gap: pieces that are no more seconds apart are joined again as far as ``max_seconds`` allows, for models that
            read every piece at the price of the longest; None joins none.
        margin: seconds of sound kept on both sides.
        overlap: seconds kept on that side on which speech goes on.
        shortest: seconds; shorter speech is a click.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        max_seconds: float = 20.0,
        silence: float = 0.4,
        gap: float | None = None,
        margin: float = 0.2,
        overlap: float = 0.6,
        shortest: float = 0.1,
    ) -> None:
        if not 0 < silence < max_seconds / 4:
            raise ValueError(f"silence {silence} must be above 0 and below a quarter of max_seconds {max_seconds}")
        if gap is not None and gap < silence:
            raise ValueError(f"gap {gap} must be at least silence {silence}, or None")
        self.detector = detector
        self.max_seconds = max_seconds
        self.silence = silence
        self.gap = gap
        self.margin = margin
        self.overlap = overlap
        self.shortest = shortest

    def __call__(self, blocks: Iterable[Tensor], rate: int) -> Iterator[Piece]:
        """Samples (T,) of a recording, block by block -> its pieces, in order."""
        self.detector.restart()
        held = _Held(rate)
        for block in blocks:
            held.add(block, self.detector(block, rate))
            yield from self._pieces(held, last=False)
        yield from self._pieces(held, last=True)

    def _pieces(self, held: "_Held", *, last: bool) -> Iterator[Piece]:
        """Those that are complete; what is before the first incomplete one is forgotten."""
        for span in self._joined(held, last=last):
            yield held.piece(span, self.margin, self.overlap)
        waiting = held.next() if held.span is None else held.span.begin - held.first
        keep = int(max(self.margin, self.overlap) / FRAME_SECONDS) + 1
        held.forget((len(held.probabilities) if waiting is None else waiting) - keep)

    def _joined(self, held: "_Held", *, last: bool) -> Iterator[Span]:
        """Spans of speech, joined where they are near; the last one waits as long as more may follow."""
        for span in self._spans(held, last=last):
            before, held.span = held.span, span
            if before is not None:
                if self._near(before, span.begin, span.end):
                    held.span = before._replace(end=span.end, goes_on=span.goes_on)
                else:
                    yield before
        if held.span is not None:
            begin = held.next()
            following = held.first + (len(held.probabilities) if begin is None else begin)
            if last or not self._near(held.span, following, following):
                yield held.span
                held.span = None

    def _near(self, span: Span, begin: int, end: int) -> bool:
        """Whether speech from ``begin`` to ``end`` can be joined to the span before it."""
        longest = int(self.max_seconds / FRAME_SECONDS)
        return self.gap is not None and (begin - span.end) * FRAME_SECONDS <= self.gap and end - span.begin <= longest

    def _spans(self, held: "_Held", *, last: bool) -> Iterator[Span]:
        """The speech between two silences, if its end is known."""
        while (begin := held.next()) is not None:
            length, goes_on = self._end(held.probabilities[begin:], last=last)
            if length is None:
                return
            span = Span(held.first + begin, held.first + begin + length, held.within, goes_on)
            held.position, held.within = begin + length, goes_on
            if length * FRAME_SECONDS >= self.shortest:
                yield span

    def _end(self, probabilities: Tensor, *, last: bool) -> tuple[int | None, bool]:
        """How many frames the speech at the first one lasts, and whether it goes on after; None if not yet known."""
        longest, quiet = int(self.max_seconds / FRAME_SECONDS), max(1, int(self.silence / FRAME_SECONDS))
        heard = probabilities[:longest] >= SILENCE
        speech = heard.nonzero().flatten()
        if not len(speech):  # after a cut within speech there may be none
            return 0, False
        gaps = (speech.diff() > quiet).nonzero().flatten()
        if len(gaps):
            return int(speech[gaps[0]]) + 1, False
        more = last and bool((probabilities[longest:] >= SILENCE).any())
        if more or len(probabilities) >= longest + quiet:
            if longest - int(speech[-1]) > quiet:
                return int(speech[-1]) + 1, False
            half = longest // 2
            smooth = torch.nn.functional.avg_pool1d(
                probabilities[None, half:longest], 5, 1, 2, count_include_pad=False
            )[0]
            return half + int(smooth.argmin()), True
        if last or len(heard) - int(speech[-1]) > quiet:
            return int(speech[-1]) + 1, False
        return None, False


class _Held:
    """Samples and probabilities that are not yet forgotten.

    ``first``: how many frames are; ``position``: the first frame here that is in no piece yet; ``within``: whether the
    piece before it was cut out of ongoing speech; ``span``: the piece before it, while it may still grow.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.samples = torch.zeros(0)
        self.probabilities = torch.zeros(0)
        self.first = 0
        self.position = 0
        self.within = False
        self.span: Span | None = None

    def add(self, samples: Tensor, probabilities: Tensor) -> None:
        self.samples = torch.cat([self.samples, samples])
        self.probabilities = torch.cat([self.probabilities, probabilities])

    def next(self) -> int | None:
        """The frame where the next piece begins; after a cut within speech that is the cut itself."""
        if self.within:
            return self.position
        found = (self.probabilities[self.position :] >= SPEECH).nonzero().flatten()
        return self.position + int(found[0]) if len(found) else None

    def piece(self, span: Span, margin: float, overlap: float) -> Piece:
        """The span with so many seconds on both sides, ``overlap`` where speech goes on."""
        begin, end = span.begin - self.first, span.end - self.first
        start = max(0, self._sample(begin) - int((overlap if span.within else margin) * self.rate))
        stop = self._sample(end) + int((overlap if span.goes_on else margin) * self.rate)
        audio = Audio(self.samples[start:stop], self.rate, self._seconds(self.first) + start / self.rate)
        return Piece(audio, self._seconds(span.begin), self._seconds(span.end), span.within or span.goes_on)

    def forget(self, count: int) -> None:
        if count <= 0:
            return
        count = min(count, len(self.probabilities))
        gone = self._sample(count + self.first) - self._sample(self.first)
        self.samples, self.probabilities = self.samples[gone:], self.probabilities[count:]
        self.first += count
        self.position = max(0, self.position - count)

    def _sample(self, frame: int) -> int:
        return round(frame * FRAME_SECONDS * self.rate)

    def _seconds(self, frame: int) -> float:
        return frame * FRAME_SECONDS
