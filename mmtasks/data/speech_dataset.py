"""Utterances as samples and batches."""

import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmtasks.data.acoustics import Acoustics
from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.collate import pad, pad_films, pad_modality, pad_texts, pad_tokens
from mmtasks.data.resampling import resampled
from mmtasks.data.speech_film import in_step
from mmtasks.data.speech_rows import SpeechRow
from mmtasks.data.text import TextProcessor
from mmtasks.data.video_features import VideoProcessor
from mmtasks.types import Batch, Modality, Tokens

NO_PROMPT = torch.zeros(0, dtype=torch.long)


class Utterance(NamedTuple):
    """Samples (T,), or features (N, D) from a cache, with the ids (L,) of their transcript.

    film: (F, …), what was seen meanwhile; None where nothing was filmed. prompt: ids (P,), empty where there is none.
    """

    id: str
    text: str
    audio: Tensor
    transcript: Tensor
    encoded: bool = False
    film: Tensor | None = None
    prompt: Tensor = NO_PROMPT


class SpeechDataset(Dataset[Utterance]):
    """Rows to samples; in training played at one of ``speeds`` (Ko et al. 2015), in a room and noise.

    All of it is drawn by (seed, epoch, row). ``video`` opens the films beside the recordings, ``prompt`` makes ids of
    prompts; None where they are not read.
    """

    def __init__(
        self,
        rows: Sequence[SpeechRow],
        audio: AudioProcessor,
        text: TextProcessor,
        *,
        video: VideoProcessor | None = None,
        prompt: TextProcessor | None = None,
        speeds: Sequence[float] = (1.0,),
        augment: Acoustics | None = None,
        seed: int = 0,
    ) -> None:
        self.rows = rows
        self.audio = audio
        self.text = text
        self.video = video
        self.prompt = prompt
        self.speeds = list(speeds)
        self.augment = augment
        self.seed = seed
        self.features: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int) -> Utterance:
        """key: ``epoch * len + index``."""
        row = self.rows[key % len(self)]
        prompt = NO_PROMPT if self.prompt is None or not row.prompt else self.prompt(row.prompt)
        rng = random.Random(f"{self.seed} {key}")
        speed = rng.choice(self.speeds)
        if "audio" in self.features:
            features = self.features["audio"][cache_key(row, speed)]
            return Utterance(row.id, row.text, features, self.text(row.text), encoded=True, prompt=prompt)
        heard = self.audio.prepare(row.load())
        samples = play(heard.samples, speed)
        if self.augment is not None:
            samples = self.augment(Audio(samples, self.audio.rate), rng).samples
        film = self._film(row, heard, speed)
        return Utterance(row.id, row.text, samples, self.text(row.text), film=film, prompt=prompt)

    def _film(self, row: SpeechRow, heard: Audio, speed: float) -> Tensor | None:
        if self.video is None or row.film is None:
            return None
        film = row.film(self.video)
        return in_step(film, self.video.rate, start=heard.start, seconds=heard.seconds, speed=speed)


def cache_key(row: SpeechRow, speed: float) -> str:
    """What the features of a row's recording, played at a speed, are called in a cache."""
    return row.key if speed == 1.0 else f"{row.key} at {round(100 * speed)}"


def play(samples: Tensor, speed: float) -> Tensor:
    """(T,) -> (``played(T, speed)``,)."""
    return resampled(samples, round(100 * speed), 100)


def played(samples: int, speed: float) -> int:
    """How many samples a recording of so many has at a speed.

    >>> played(16_000, 1.1)
    14546
    """
    return math.ceil(samples * 100 / round(100 * speed))


class Collate:
    """Utterances to a Batch: ``audio``, ``video`` where films are read, and ``text`` where prompts are.

    Targets ``transcript`` (B, L), ``transcript_length`` (B,) and ``text``, a list.

    step: the shape of a step of every film, which a batch without films needs too; None where none is read.
    prompt_pad: the id that fills up prompts; None where none is read.
    """

    def __init__(self, step: Sequence[int] | None = None, *, prompt_pad: int | None = None) -> None:
        self.step = step
        self.prompt_pad = prompt_pad

    def __call__(self, samples: list[Utterance]) -> Batch:
        transcript, mask = pad([s.transcript for s in samples])
        target = {"transcript": transcript, "transcript_length": mask.sum(dim=1), "text": [s.text for s in samples]}
        pad_audio = pad_tokens if samples[0].encoded else pad_modality
        inputs: dict[str, Modality | Tokens] = {"audio": pad_audio([s.audio for s in samples])}
        if self.step is not None:
            inputs["video"] = pad_films([s.film for s in samples], self.step)
        if self.prompt_pad is not None:
            inputs["text"] = pad_texts([s.prompt for s in samples], self.prompt_pad)
        return Batch(inputs, target, [s.id for s in samples])
