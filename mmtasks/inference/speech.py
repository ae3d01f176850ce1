"""Transcribe recordings of any length with a trained model."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F

from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.audio_blocks import longer_blocks
from mmtasks.data.channel import Channel
from mmtasks.data.clean import clean
from mmtasks.data.collate import pad_films, pad_modality, pad_texts
from mmtasks.data.cutter import Cutter, Piece
from mmtasks.data.speech_dataset import NO_PROMPT
from mmtasks.data.speech_film import Film, in_step
from mmtasks.data.text import TextProcessor
from mmtasks.data.video_features import VideoProcessor
from mmtasks.data.voice_activity import Detector, best_detector
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.inference.at_once import in_threads
from mmtasks.inference.checkpoint import Model, load, objective_of
from mmtasks.inference.seams import Seam, parted
from mmtasks.memory import give_back
from mmtasks.objectives.speech import SpeechOutput, Transcription
from mmtasks.types import Batch, Heard, Modality, Tokens, Word

NOTHING = Heard("", None, [])
LISTENED = 120.0
"""Seconds in which speech is looked for at once: more is quicker, and takes more memory."""
GAP = 2.0
"""Seconds of silence over which a model that fills up its window reads on, within one segment."""


class Segment(NamedTuple):
    """What was said without a longer pause; start, end: seconds into the recording; score: as of ``Heard``."""

    start: float
    end: float
    text: str
    score: float | None
    words: list[Word]


class Transcriber:
    """A trained speech-to-text model, ready to use.

    Args:
        checkpoint: its path, or the loaded model.
        device: to compute on.
        batch_seconds: the most sound of a step, padding included.
        prompt: what to expect, told to a model that learned from prompts beside every recording without its own.
        at_once: how many steps are computed at once, each on its share of the cores; None for two on a CPU with
            several, see decision 0042.

    Raises:
        UserError: the checkpoint is of another task, or the prompt cannot be read.
    """

    def __init__(
        self,
        checkpoint: str | Path | Model,
        *,
        device: str = "cpu",
        batch_seconds: float = 240.0,
        prompt: str = "",
        at_once: int | None = None,
    ) -> None:
        self.model = checkpoint if isinstance(checkpoint, Model) else load(checkpoint, device=device)
        self.objective = objective_of(self.model, Transcription, "transcription")
        self.processor: AudioProcessor = self.model.processors["audio"]
        self.video: VideoProcessor | None = self.model.processors.get("video")
        self.batch_seconds = batch_seconds
        several = self.model.device.type == "cpu" and torch.get_num_threads() > 1
        self.at_once = at_once or (2 if several else 1)
        self.text: TextProcessor | None = self.model.processors["text"] if self.objective.prompted else None
        self.prompt = self._ids(prompt)
        if prompt and self.text is None:
            raise UserError(f"{self.model.path}: this model reads no prompt; leave out --prompt")
        if prompt and not len(self.prompt):
            raise UserError(f"--prompt {prompt!r}: no words are left after cleaning; write some")
        self.window = cast(Encoder, self.model.backbone.encoders["audio"]).window

    @property
    def rate(self) -> int:
        """Samples a second that the model reads."""
        return self.processor.rate

    def segments(
        self, blocks: Iterable[torch.Tensor], detector: Detector | None = None, *, prompt: str = ""
    ) -> Iterator[Segment]:
        """Samples (T,) at ``rate``, block by block -> what is said in them, in order. ``prompt``: as of ``hear``.

        Holds as much sound as a step and the longest segment need, however long the recording is.
        """
        before: tuple[Piece, Heard] | None = None
        for piece, heard in self._pieces(blocks, detector, prompt):
            if before is not None:
                before, (piece, heard) = _joined(before, (piece, heard))
                yield from _segment(*before)
            before = piece, heard
        if before is not None:
            yield from _segment(*before)

    def _pieces(
        self, blocks: Iterable[torch.Tensor], detector: Detector | None, prompt: str
    ) -> Iterator[tuple[Piece, Heard]]:
        """The recording's pieces, each with all that is heard in its sound, some of it by its neighbours too."""

        def step(pieces: list[Piece]) -> list[tuple[Piece, Heard]]:
            heard = self._hear([piece.audio for piece in pieces], prompts=[prompt] * len(pieces), at_once=1)
            return list(zip(pieces, heard, strict=True))

        with closing(in_threads(step, self._steps(blocks, detector), self.at_once)) as steps:
            for heard in steps:
                give_back()
                yield from heard

    def _steps(self, blocks: Iterable[torch.Tensor], detector: Detector | None) -> Iterator[list[Piece]]:
        """As many pieces as are read in a step."""
        blocks = longer_blocks(blocks, int(LISTENED * self.rate))
        steps = self._full(self._cutter(detector or best_detector())(blocks, self.rate))
        return self._with_channel(steps) if self.processor.equalises else steps

    def _full(self, pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
        """Pieces in steps, none of more sound than is read at once."""
        waiting: list[Piece] = []
        for piece in pieces:
            if waiting and self._padded([*waiting, piece]) > self.batch_seconds:
                yield waiting
                waiting = []
            waiting.append(piece)
        yield waiting

    def _with_channel(self, steps: Iterable[list[Piece]]) -> Iterator[list[Piece]]:
        """Pieces that bring the channel of all that was said up to the end of their step."""
        channel: Channel | None = None
        for pieces in steps:
            channel = self.processor.channel([piece.audio for piece in pieces], channel)
            yield [piece._replace(audio=piece.audio._replace(channel=channel)) for piece in pieces]

    def spoken(self, recording: Audio, detector: Detector | None = None) -> bool:
        """Whether somebody speaks in a recording, as ``segments`` finds it; it may be cut close to the words."""
        detector = detector or best_detector()
        around = int(detector.quiet * recording.rate)
        pieces = self._cutter(detector)([F.pad(recording.samples, (around, around))], recording.rate)
        return next(pieces, None) is not None

    def hear(
        self, recordings: list[Audio], films: Sequence[Film | None] = (), prompts: Sequence[str] = ()
    ) -> list[Heard]:
        """What is said in each recording, none longer than the model can read at once; times from its start.

        A recording without sound, or too short for a token, gives an empty text and no score. ``films``, what was
        filmed beside each, if anything, and ``prompts``, what is known of each, are for models that read them; others
        do not look at them.
        """
        filmed = self.video is not None and any(film is not None for film in films)
        return self._hear(recordings, films, prompts, at_once=1 if filmed else self.at_once)

    def _hear(
        self, recordings: list[Audio], films: Sequence[Film | None] = (), prompts: Sequence[str] = (), *, at_once: int
    ) -> list[Heard]:
        """The recordings in steps of like length, so many at once."""
        heard = [NOTHING] * len(recordings)
        sounding = (i for i, audio in enumerate(recordings) if not audio.silent)
        prepared = {i: self.processor.prepare(recordings[i]) for i in sounding}

        def step(batch: list[int]) -> list[tuple[int, Heard]]:
            seen = [self._seen(films[i], prepared[i]) for i in batch] if films else []
            told = [self._ids(prompts[i]) for i in batch] if prompts else []
            output = self.read([prepared[i].samples for i in batch], seen, told)
            found = zip(batch, self.objective.decode(output), output.mask.any(dim=1), strict=True)
            return [(i, _later(text, prepared[i].start)) for i, text, read in found if read]

        for texts in in_threads(step, self._by_length(prepared), at_once):
            for i, text in texts:
                heard[i] = text
        return heard

    def _by_length(self, prepared: dict[int, Audio]) -> Iterator[list[int]]:
        """The keys of as many as are read in a step, the longest first."""
        order = sorted(prepared, key=lambda i: len(prepared[i].samples))
        while order:
            size = max(1, int(self.batch_seconds / self._cost(prepared[order[-1]].seconds)))
            yield order[-size:]
            order = order[:-size]

    def clean_prompt(self, prompt: str, language: str = "") -> str:
        """As the model reads it; empty where it reads none, or no words are left.

        Raises:
            UserError: it cannot be cleaned, or cannot be encoded.
        """
        if self.text is None or not prompt:
            return ""
        cleaned = clean(prompt, self.text.clean, language)
        if cleaned:
            self.text(cleaned)
        return cleaned

    @torch.inference_mode()
    def read(
        self,
        recordings: list[torch.Tensor],
        films: Sequence[torch.Tensor | None] = (),
        prompts: Sequence[torch.Tensor] = (),
    ) -> SpeechOutput:
        """Prepared samples (T_i,) of B recordings, steps (F_i, …) of films, ids (P_i,) of prompts -> what they say.

        Where a recording's prompt has no ids, or none has one, it is the prompt of all.
        """
        streams = {"audio": pad_modality(recordings)}
        if given := [film for film in films if film is not None]:
            streams["video"] = pad_films(films, given[0].shape[1:])
        told = [prompt if len(prompt) else self.prompt for prompt in prompts] or [self.prompt] * len(recordings)
        if self.text is not None and any(map(len, told)):
            streams["text"] = pad_texts(told, self.text.facts()["pad_id"])
        device = self.model.device
        inputs: dict[str, Modality | Tokens] = {
            name: Modality(stream.data.to(device), stream.mask.to(device)) for name, stream in streams.items()
        }
        batch = Batch(inputs, {}, [""] * len(recordings))
        backbone = self.model.backbone
        output: SpeechOutput = self.objective(backbone.encode(batch.inputs), backbone.fuse, batch)
        return output

    def _cutter(self, detector: Detector) -> Cutter:
        """Two pieces share sound only where words have times, by which the words of both are told apart."""
        overlap = 0.6 if self.objective.ctc_weight else 0.1
        if self.window is None:
            return Cutter(detector, overlap=overlap)
        margin = 0.2
        longest = self.window - 2 * max(margin, overlap)
        gap = None if self.objective.grammar else min(GAP, longest)  # a command ends where somebody pauses
        return Cutter(detector, max_seconds=longest, gap=gap, margin=margin, overlap=overlap)

    def _seen(self, film: Film | None, heard: Audio) -> torch.Tensor | None:
        """The steps of a film that belong to a prepared recording."""
        if film is None or self.video is None:
            return None
        return in_step(film(self.video), self.video.rate, start=heard.start, seconds=heard.seconds)

    def _ids(self, prompt: str) -> torch.Tensor:
        """(P,) of a prompt; none where the model reads none, or no words are left after cleaning."""
        cleaned = self.clean_prompt(prompt)
        return self.text(cleaned) if self.text is not None and cleaned else NO_PROMPT

    def _cost(self, seconds: float) -> float:
        return max(seconds, self.window or 0.0)

    def _padded(self, pieces: list[Piece]) -> float:
        return len(pieces) * self._cost(max(piece.audio.seconds for piece in pieces))


def _segment(piece: Piece, heard: Heard) -> Iterator[Segment]:
    """What was heard in a piece, if anything; wide enough for all of its words."""
    if heard.text:
        starts, ends = [piece.start, *(w.start for w in heard.words)], [piece.end, *(w.end for w in heard.words)]
        yield Segment(min(starts), max(ends), *heard)


Read = tuple[Piece, Heard]


def _joined(left: Read, right: Read) -> tuple[Read, Read]:
    """Two neighbours without the words that the other one says; they meet where the words of the left one end."""
    (one, said), (other, then) = left, right
    sound = Seam((one.end + other.start) / 2, other.audio.start, one.audio.start + one.audio.seconds)
    shared = (one.shared or other.shared) and sound.begin < sound.end
    if not (shared and said.words and then.words):
        return left, right
    words = parted(said.words, then.words, sound)
    said, then = (
        heard._replace(words=own, text=" ".join(word.text for word in own))
        for heard, own in zip((said, then), words, strict=True)
    )
    end = max([one.end, *(word.end for word in said.words)])
    return (one._replace(end=end), said), (other._replace(start=max(other.start, end)), then)


def _later(heard: Heard, seconds: float) -> Heard:
    return heard._replace(words=[Word(w.text, w.start + seconds, w.end + seconds) for w in heard.words])
