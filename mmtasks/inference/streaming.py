"""Words while somebody speaks: greedy CTC over chunks of sound."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.collate import pad_modality
from mmtasks.data.voice_activity import FRAME_SECONDS, SILENCE, Detector, best_detector
from mmtasks.heads.ctc import Path, append
from mmtasks.inference.speech import Transcriber
from mmtasks.objectives.speech import timed_words
from mmtasks.types import Batch, Modality, Word


class StreamingTranscriber:
    """Runs the whole encoder over a window around each chunk and takes the chunk's own symbols.

    A word is given once the next one has begun, or a chunk has passed in which nobody speaks. So it comes, beside the
    time of computing, at most two chunks and ``right`` after its end: 2.24 s by default.

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
        self.transcriber = transcriber
        self.detector = detector or best_detector()
        self.chunk = chunk
        self.left = left
        self.right = right
        self._step = transcriber.objective.token_seconds
        self._chunk, self._left, self._right = (max(0, round(s / self._step)) for s in (chunk, left, right))
        self._chunk = max(1, self._chunk)
        steps = [step for step in transcriber.processor.steps if _name(step) != "trim"]  # would move the chunk
        self._prepare = AudioProcessor(transcriber.rate, steps)

    def __call__(self, blocks: Iterable[Tensor]) -> Iterator[list[Word]]:
        """Samples (T,) at the model's rate, as they come -> the words that each chunk completes, where it does."""
        blank, rate = self.transcriber.objective.blank, self.transcriber.rate
        sound, speech = torch.zeros(0), torch.zeros(0)
        first = done = 0  # tokens: where ``sound`` begins, and up to where symbols are known
        path, last = Path([], [], [], 0.0), blank
        for block, ended in _with_last(blocks):
            sound = torch.cat([sound, block])
            speech = torch.cat([speech, self.detector(block, rate)])
            known = first + int(len(sound) / rate / self._step)
            while ended or known >= done + self._chunk + self._right:
                stop = None if ended else done + self._chunk
                if self._spoken(speech, done, stop):
                    window = sound if stop is None else sound[: self._sample(stop + self._right - first)]
                    symbols = self._symbols(window)[done - first : None if stop is None else stop - first]
                    last = append(path, symbols, done, last, blank)
                    path, words = self._complete(path, everything=ended)
                else:
                    last = blank
                    path, words = self._complete(path, everything=True)
                if words:
                    yield words
                if ended:
                    return
                done += self._chunk
                gone = max(0, done - self._left - first)
                sound, first = sound[self._sample(gone) :], first + gone

    def _spoken(self, speech: Tensor, start: int, stop: int | None) -> bool:
        """Whether somebody may speak between these tokens, or a tenth of a second around them."""
        first = max(0, int((start * self._step - 0.1) / FRAME_SECONDS))
        end = None if stop is None else int((stop * self._step + 0.1) / FRAME_SECONDS) + 1
        return bool((speech[first:end] >= SILENCE).any())

    @torch.inference_mode()
    def _symbols(self, window: Tensor) -> list[int]:
        """The best symbol of each token."""
        transcriber = self.transcriber
        prepared = pad_modality([self._prepare(Audio(window, transcriber.rate))])
        sound = Modality(prepared.data.to(transcriber.model.device), prepared.mask.to(transcriber.model.device))
        batch = Batch({"audio": sound}, {}, [""])
        backbone = transcriber.model.backbone
        output = transcriber.objective(backbone.encode(batch.inputs), backbone.fuse, batch)
        symbols: list[int] = output.log_probs[0][output.mask[0]].argmax(dim=-1).tolist()
        return symbols

    def _complete(self, path: Path, *, everything: bool) -> tuple[Path, list[Word]]:
        """What stays open, and the words that are complete: all before the last one that has begun."""
        tokenizer = self.transcriber.objective.tokenizer
        begins = [i for i, symbol in enumerate(path.ids) if tokenizer.decode([symbol])[:1].isspace()]
        cut = len(path.ids) if everything else max(begins, default=0)
        ready, rest = (Path(path.ids[p], path.starts[p], path.ends[p], 0.0) for p in (slice(cut), slice(cut, None)))
        return rest, timed_words(tokenizer, ready, self._step)

    def _sample(self, token: int) -> int:
        return round(token * self._step * self.transcriber.rate)


def _with_last(blocks: Iterable[Tensor]) -> Iterator[tuple[Tensor, bool]]:
    """Each block, then an empty one that ends the recording."""
    for block in blocks:
        yield block, False
    yield torch.zeros(0), True


def _name(step: str | dict[str, object]) -> str:
    return step if isinstance(step, str) else next(iter(step))
