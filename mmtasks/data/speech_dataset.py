"""Utterances as samples and batches."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torchaudio.functional as AF
from torch import Tensor
from torch.utils.data import Dataset

from mmtasks.data.acoustics import Acoustics
from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.collate import pad, pad_modality, pad_tokens
from mmtasks.data.speech_rows import SpeechRow
from mmtasks.data.text import TextProcessor
from mmtasks.types import Batch


class Utterance(NamedTuple):
    """Samples (T,), or features (N, D) from a cache, with the ids (L,) of their transcript."""

    id: str
    text: str
    audio: Tensor
    transcript: Tensor
    encoded: bool = False


class SpeechDataset(Dataset[Utterance]):
    """Rows to samples; in training played at one of ``speeds`` (Ko et al. 2015), in a room and noise.

    All of it is drawn by (seed, epoch, row).
    """

    def __init__(
        self,
        rows: Sequence[SpeechRow],
        audio: AudioProcessor,
        text: TextProcessor,
        *,
        speeds: Sequence[float] = (1.0,),
        augment: Acoustics | None = None,
        seed: int = 0,
    ) -> None:
        self.rows = rows
        self.audio = audio
        self.text = text
        self.speeds = list(speeds)
        self.augment = augment
        self.seed = seed
        self.features: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int) -> Utterance:
        """key: ``epoch * len + index``."""
        row = self.rows[key % len(self)]
        if "audio" in self.features:
            return Utterance(row.id, row.text, self.features["audio"][row.key], self.text(row.text), encoded=True)
        rng = random.Random(f"{self.seed} {key}")
        speed = rng.choice(self.speeds)
        samples = self.audio(row.load())
        if speed != 1.0:
            samples = AF.resample(samples, round(100 * speed), 100)
        if self.augment is not None:
            samples = self.augment(Audio(samples, self.audio.rate), rng).samples
        return Utterance(row.id, row.text, samples, self.text(row.text))


def collate(samples: list[Utterance]) -> Batch:
    """Utterances to a Batch; targets ``transcript`` (B, L), ``transcript_length`` (B,) and ``text``, a list."""
    transcript, mask = pad([s.transcript for s in samples])
    target = {"transcript": transcript, "transcript_length": mask.sum(dim=1), "text": [s.text for s in samples]}
    pad_audio = pad_tokens if samples[0].encoded else pad_modality
    return Batch({"audio": pad_audio([s.audio for s in samples])}, target, [s.id for s in samples])
