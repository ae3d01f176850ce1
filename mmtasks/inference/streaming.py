"""Words while somebody speaks: greedy CTC over chunks of sound."""

import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from mmtasks.data.audio import Audio, AudioProcessor, name_of
from mmtasks.data.channel import Channel
from mmtasks.data.voice_activity import FRAME_SECONDS, SILENCE, Detector, best_detector
from mmtasks.errors import UserError
from mmtasks.heads.ctc import Path, append
from mmtasks.inference.speech import Transcriber
from mmtasks.objectives.speech import timed_words
from mmtasks.types import Word

PAUSE, KEPT = 0.4, 0.1
"""Seconds without speech that part what is said, and what is kept of them on both sides."""


class Said(NamedTuple):
    """Further words. paused: the speaker has paused after them, or the sound has ended."""

    words: list[Word]
    paused: bool


class StreamingTranscriber:
    """Runs the whole encoder over a window around each chunk and takes the chunk's own symbols.

    The window ends where the speaker pauses, so that the encoder sees what it was trained on.

    A word is given once the next one has begun, or the speaker has paused. So it comes, beside the time of
    computing, at most two chunks and ``right`` after its end: 2.24 s by default.

    Args:
        transcriber: the model.
        detector: finds speech; in a chunk without any nothing is heard.
        chunk: seconds from one result to the next.
        left: seconds before a chunk that the encoder sees.
        right: seconds after it.
    """

    def __init__(
        self,
        transcriber: Transcriber,
        *,
        detector: Detector | None = None,
        chunk: float = 0.64,
        left: float = 8.0,
        right: float = 0.96,
    ) -> None:
        if chunk <= 0 or min(left, right) < 0:
            raise ValueError(f"chunk {chunk} must be above 0; left {left} and right {right} at least 0")
        if transcriber.objective.decoder is not None and not transcriber.objective.ctc_weight:
            raise UserError(f"{transcriber.model.path}: words while somebody speaks need CTC; give files")
        self.transcriber = transcriber
        self.detector = detector or best_detector()
        self.chunk = chunk
        self.left = left
        self.right = right
        self._step = transcriber.objective.token_seconds
        self._chunk, self._left, self._right = (max(0, round(s / self._step)) for s in (chunk, left, right))
        self._chunk = max(1, self._chunk)
        steps = [step for step in transcriber.processor.steps if name_of(step) != "trim"]  # would move the chunk
        self._prepare = AudioProcessor(transcriber.rate, steps)

    def __call__(self, blocks: Iterable[Tensor]) -> Iterator[Said]:
        """Samples (T,) at the model's rate, as they come -> the words that each chunk completes, where it does.

        A pause comes alone where the words before it have been given already.
        """
        rate = self.transcriber.rate
        heard = _Heard(self.transcriber.objective.blank)
        for block, ended in _with_last(blocks):
            heard.sound = torch.cat([heard.sound, block])
            heard.speech = torch.cat([heard.speech, self.detector(block, rate)])
            known = heard.first + int(len(heard.sound) / rate / self._step)
            while ended or known >= heard.done + self._chunk + self._right:
                stop = known + 1 if ended else heard.done + self._chunk
                yield from heard.news(self._hear(heard, stop))
                if ended:
                    yield from heard.news([Said(self._complete(heard, everything=True), True)])
                    return
                gone = max(0, stop - self._left - heard.first)
                heard.sound, heard.first, heard.done = heard.sound[self._sample(gone) :], heard.first + gone, stop

    def _hear(self, heard: "_Heard", stop: int) -> Iterator[Said]:
        """The chunk up to token ``stop``: words that it completes, parted at pauses."""
        words: list[Word] = []
        visible = stop + self._right
        for begin, end in self._spoken(heard, visible):
            if begin < stop and end > heard.done:
                start = max(begin, heard.done)
                window = heard.sound[self._sample(begin - heard.first) : self._sample(end - heard.first)]
                symbols = self._symbols(window, heard)[start - begin : min(stop, end) - begin]
                heard.last = append(heard.path, symbols, start, heard.last, heard.blank)
                words += self._complete(heard, everything=False)
            if end <= stop and end < visible and heard.path.ids and heard.path.ends[-1] <= end:
                yield Said(words + self._complete(heard, everything=True), True)
                words = []
        yield Said(words, False)

    def _spoken(self, heard: "_Heard", stop: int) -> Iterator[tuple[int, int]]:
        """Tokens between which somebody speaks without a pause, of the sound that is held and before ``stop``."""
        frames = self._step / FRAME_SECONDS
        first = int(heard.first * frames)
        speech = (heard.speech[first : int(stop * frames) + 1] >= SILENCE).nonzero().flatten() + first
        cuts = (speech.diff() > PAUSE / FRAME_SECONDS).nonzero().flatten() + 1
        for run in speech.tensor_split(cuts) if len(speech) else ():
            begin, end = int(run[0]) * FRAME_SECONDS - KEPT, (int(run[-1]) + 1) * FRAME_SECONDS + KEPT
            yield max(heard.first, int(begin / self._step)), min(stop, int(end / self._step) + 1)

    def _symbols(self, window: Tensor, heard: "_Heard") -> list[int]:
        """The best symbol of each token."""
        audio = Audio(window, self.transcriber.rate)
        if self._prepare.equalises:
            heard.channel = self._prepare.channel([audio], heard.channel)
            audio = audio._replace(channel=heard.channel)
        output = self.transcriber.read([self._prepare(audio)])
        assert output.log_probs is not None
        symbols: list[int] = output.log_probs[0][output.mask[0]].argmax(dim=-1).tolist()
        return symbols

    def _complete(self, heard: "_Heard", *, everything: bool) -> list[Word]:
        """The words that are complete, taken away: all before the last one that has begun."""
        tokenizer, path = self.transcriber.objective.tokenizer, heard.path
        pairs = enumerate(itertools.pairwise(path.ids), start=1)
        begins = [i for i, (before, symbol) in pairs if tokenizer.begins_word(symbol, before)]
        cut = len(path.ids) if everything else max(begins, default=0)
        ready, heard.path = (_part(path, slice(cut)), _part(path, slice(cut, None)))
        heard.last = heard.blank if everything else heard.last
        return timed_words(tokenizer, ready, self._step)

    def _sample(self, token: int) -> int:
        return round(token * self._step * self.transcriber.rate)


class _Heard:
    """What is held of a recording; ``first`` and ``done`` are tokens: where the sound begins, what is transcribed.

    ``speaking``: words were given since the last pause; ``channel``: of all that was listened to.
    """

    def __init__(self, blank: int) -> None:
        self.blank = self.last = blank
        self.sound, self.speech = torch.zeros(0), torch.zeros(0)
        self.first = self.done = 0
        self.path = Path([], [], [], 0.0)
        self.speaking = False
        self.channel: Channel | None = None

    def news(self, said: Iterable[Said]) -> Iterator[Said]:
        """What of it tells something: words, or the first pause after words."""
        for one in said:
            if one.words or (one.paused and self.speaking):
                yield one
            self.speaking = not one.paused and (self.speaking or bool(one.words))


def _part(path: Path, part: slice) -> Path:
    return Path(path.ids[part], path.starts[part], path.ends[part], path.score)


def _with_last(blocks: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Each block, then an empty one that ends the recording."""
    for block in blocks:
        yield block, False
    yield torch.zeros(0), True
