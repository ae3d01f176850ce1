"""Where somebody speaks in a recording, and its cut into pieces at silences."""

import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
import torchaudio.functional as AF
from torch import Tensor

from mmtasks.data.audio import Audio

RATE = 16_000
FRAME = 512
"""Samples of a decision at ``RATE``: 32 ms."""
FRAME_SECONDS = FRAME / RATE
SPEECH, SILENCE = 0.5, 0.35
"""Probabilities above which speech begins and below which it ends."""


class Detector:
    """Probability of speech in each 32 ms of a signal that is given piece by piece. Subclasses decide."""

    def __init__(self) -> None:
        self._rest = torch.zeros(0)

    def __call__(self, samples: Tensor, rate: int) -> Tensor:
        """The next samples (T,) -> (frames,) of those that are complete by now."""
        if rate != RATE:
            common = math.gcd(rate, RATE)
            samples = AF.resample(samples, rate // common, RATE // common)
        samples = torch.cat([self._rest, samples])
        whole = len(samples) // FRAME * FRAME
        self._rest = samples[whole:]
        return self.decide(samples[:whole].view(-1, FRAME)) if whole else torch.zeros(0)

    def decide(self, frames: Tensor) -> Tensor:
        """(F, 512) -> (F,) in [0, 1]."""
        raise NotImplementedError(f"{type(self).__name__}.decide")


class SileroDetector(Detector):
    """The recurrent network of the package silero-vad.

    Stretches of 4 s run side by side as one batch, each after a second of warming up: quicker than frame after frame.
    """

    STRETCH, WARM = 125, 31

    def __init__(self) -> None:
        super().__init__()
        threads = torch.get_num_threads()
        import silero_vad

        torch.set_num_threads(threads)  # importing it leaves torch with one
        self._model: Any = silero_vad.load_silero_vad()
        self._before = torch.zeros(self.WARM, FRAME)

    @torch.inference_mode()
    def decide(self, frames: Tensor) -> Tensor:
        """(F, 512) -> (F,)."""
        count = len(frames)
        known = torch.cat([self._before, frames])
        self._before = known[-self.WARM :]
        stretch = min(self.STRETCH, count)
        number = -(-count // stretch)
        known = torch.cat([known, torch.zeros(number * stretch - count, FRAME)])
        stretches = known.unfold(0, self.WARM + stretch, stretch).permute(2, 0, 1)  # [frame, stretch, sample]
        self._model.reset_states()
        probabilities = torch.cat([self._model(frame.contiguous(), RATE) for frame in stretches], dim=1)
        return probabilities[:, self.WARM :].flatten()[:count]


class EnergyDetector(Detector):
    """Speech is what is 15 dB louder than the quietest tenth of the last half minute, and above -55 dB."""

    def __init__(self) -> None:
        super().__init__()
        self._levels = torch.zeros(0)

    def decide(self, frames: Tensor) -> Tensor:
        """(F, 512) -> (F,) of 0 and 1."""
        levels = 10 * frames.square().mean(dim=1).clamp(min=1e-12).log10()
        self._levels = torch.cat([self._levels, levels])[-max(1000, len(levels)) :]
        return (levels > max(float(self._levels.quantile(0.1)) + 15, -55.0)).float()


def best_detector() -> Detector:
    """The network if its package is installed, else the level; says so in that case."""
    try:
        return SileroDetector()
    except ImportError:
        print("silence is found by level alone; for a better cut: pip install mmtasks[speech]")
        return EnergyDetector()


class Piece(NamedTuple):
    """A part of a recording.

    audio: the part and some of both sides; start, end: seconds into the recording, without that; shared: it was cut
    out of ongoing speech, so that words of its neighbours may be heard in it.
    """

    audio: Audio
    start: float
    end: float
    shared: bool


class Cutter:
    """Cuts a recording at silences, and where somebody goes on for too long, at the least likely speech.

    Args:
        detector: finds speech.
        max_seconds: the longest piece.
        silence: seconds without speech at which a piece ends.
        margin: seconds of sound kept on both sides; a cut within speech keeps three times as much.
        shortest: seconds; shorter speech is a click.
    """

    def __init__(
        self,
        detector: Detector,
        *,
        max_seconds: float = 20.0,
        silence: float = 0.4,
        margin: float = 0.2,
        shortest: float = 0.1,
    ) -> None:
        if not 0 < silence < max_seconds / 4:
            raise ValueError(f"silence {silence} must be above 0 and below a quarter of max_seconds {max_seconds}")
        self.detector = detector
        self.max_seconds = max_seconds
        self.silence = silence
        self.margin = margin
        self.shortest = shortest

    def __call__(self, blocks: Iterable[Tensor], rate: int) -> Iterator[Piece]:
        """Samples (T,) of a recording, block by block -> its pieces, in order."""
        held = _Held(rate)
        for block in blocks:
            held.add(block, self.detector(block, rate))
            yield from self._pieces(held, last=False)
        yield from self._pieces(held, last=True)

    def _pieces(self, held: "_Held", *, last: bool) -> Iterator[Piece]:
        """Those that are complete; what is before the first incomplete one is forgotten."""
        while (begin := held.next()) is not None:
            length, goes_on = self._end(held.probabilities[begin:], last=last)
            if length is None:
                break
            end = begin + length
            if length * FRAME_SECONDS >= self.shortest:
                yield held.piece(begin, end, self.margin, goes_on=goes_on)
            held.position, held.within = end, goes_on
        keep = int(3 * self.margin / FRAME_SECONDS) + 1
        held.forget((len(held.probabilities) if begin is None else begin) - keep)

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
        if len(probabilities) >= longest + quiet:
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
    piece before it was cut out of ongoing speech.
    """

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self.samples = torch.zeros(0)
        self.probabilities = torch.zeros(0)
        self.first = 0
        self.position = 0
        self.within = False

    def add(self, samples: Tensor, probabilities: Tensor) -> None:
        self.samples = torch.cat([self.samples, samples])
        self.probabilities = torch.cat([self.probabilities, probabilities])

    def next(self) -> int | None:
        """The frame where the next piece begins; after a cut within speech that is the cut itself."""
        if self.within:
            return self.position
        found = (self.probabilities[self.position :] >= SPEECH).nonzero().flatten()
        return self.position + int(found[0]) if len(found) else None

    def piece(self, begin: int, end: int, margin: float, *, goes_on: bool) -> Piece:
        """Frames ``begin`` to ``end`` with so many seconds on both sides, three times as many within speech."""
        start = max(0, self._sample(begin) - int((3 if self.within else 1) * margin * self.rate))
        stop = self._sample(end) + int((3 if goes_on else 1) * margin * self.rate)
        origin = self._seconds(self.first)
        audio = Audio(self.samples[start:stop], self.rate, origin + start / self.rate)
        first, last = self._seconds(self.first + begin), self._seconds(self.first + end)
        return Piece(audio, first, last, self.within or goes_on)

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
