"""How far transcripts are from the truth: word and character error rate, and which words went wrong."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torchmetrics import Metric

from mmtasks.metrics.normalise import normaliser as normalise_by

KINDS = {"replace": "substitutions", "delete": "deletions", "insert": "insertions"}
COUNTS = (*KINDS.values(), "words", "character_edits", "characters", "right", "utterances")


class Transcript(NamedTuple):
    """One utterance: what was said and what was heard."""

    id: str
    reference: str
    hypothesis: str


class WordErrors(Metric):
    """Edits of words and characters over a whole set (Levenshtein; rates are edits over length of the references).

    ``transcripts`` keeps those that this process saw, normalised.

    Args:
        normaliser: what both sides go through, see ``mmtasks.metrics.normalise``.

    >>> errors = WordErrors()
    >>> errors.update([Transcript("1", "turn the light off", "turn light of")])
    >>> {name: round(float(value), 2) for name, value in errors.compute().items() if name in ("wer", "deletions")}
    {'wer': 0.5, 'deletions': 0.25}
    """

    full_state_update = False
    words: Tensor
    character_edits: Tensor
    characters: Tensor
    right: Tensor
    utterances: Tensor

    def __init__(self, *, normaliser: str | None = None) -> None:
        super().__init__()
        self.change = normalise_by(normaliser)
        self.transcripts: list[Transcript] = []
        for name in COUNTS:
            self.add_state(name, default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, transcripts: Sequence[Transcript]) -> None:
        """Count the edits of more utterances."""
        transcripts = [
            Transcript(i, self.change(said).strip(), self.change(heard).strip()) for i, said, heard in transcripts
        ]
        self.transcripts += transcripts
        for _, reference, hypothesis in transcripts:
            words, heard = reference.split(), hypothesis.split()
            for edit in Levenshtein.editops(words, heard):
                self._add(KINDS[edit.tag], 1)
            self._add("words", len(words))
            self._add("character_edits", Levenshtein.distance(" ".join(words), " ".join(heard)))
            self._add("characters", len(" ".join(words)))
            self._add("right", int(words == heard))
            self._add("utterances", 1)

    def compute(self) -> dict[str, Tensor]:
        """Rates from 0: ``wer`` and its parts in edits a word, ``cer``, ``accuracy`` of whole utterances."""
        words = self.words.clamp(min=1)
        parts = {name: getattr(self, name) / words for name in KINDS.values()}
        return {
            "wer": torch.stack(list(parts.values())).sum(),
            "cer": self.character_edits / self.characters.clamp(min=1),
            **parts,
            "accuracy": self.right / self.utterances.clamp(min=1),
        }

    def reset(self) -> None:
        """Forget all utterances."""
        super().reset()
        self.transcripts = []

    def _add(self, name: str, count: int) -> None:
        setattr(self, name, getattr(self, name) + count)
