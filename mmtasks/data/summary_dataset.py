"""Videos to summarize as samples and batches."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmtasks.data.clean import clean_captions
from mmtasks.data.collate import pad, pad_modality, pad_texts
from mmtasks.data.summary_rows import SummaryRow
from mmtasks.data.text import TextProcessor
from mmtasks.types import Annotation, Batch, Modality, Tokens


class Video(NamedTuple):
    """Steps (T, D), (T, P, D) or (T, 3, H, W), the title's ids (L,) or None, importance (T,) or None, what people said,
    and the sound of each step (T, D) or None.
    """

    id: str
    steps: Tensor
    title: Tensor | None
    importance: Tensor | None
    annotation: Annotation
    sound: Tensor | None = None


class SummaryDataset(Dataset[Video]):
    """Rows to samples.

    shuffle_steps: each video's steps in an order of its own, drawn by its id, to see what their order is worth; titles:
    give those that there are; sound: load that of the videos that have some.
    """

    def __init__(
        self,
        rows: Sequence[SummaryRow],
        text: TextProcessor | None,
        *,
        titles: bool = True,
        shuffle_steps: bool = False,
        sound: bool = False,
    ) -> None:
        self.rows = rows
        self.text = text
        self.titles = titles
        self.shuffle_steps = shuffle_steps
        self.sound = sound

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int) -> Video:
        """key: ``epoch * len + index``."""
        row = self.rows[key % len(self)]
        steps, annotation = row.load(), row.annotation
        sound = row.sound() if self.sound and row.sound is not None else None
        importance = None if row.target is None else torch.from_numpy(np.asarray(row.target, dtype=np.float32))
        if self.shuffle_steps:
            order = np.random.default_rng(list(row.id.encode())).permutation(len(steps))
            steps, annotation = steps[order], annotation._replace(picks=annotation.picks[order])
            importance = None if importance is None else importance[order]
            sound = None if sound is None else sound[order]
        return Video(row.id, steps, self._title(row.title), importance, annotation, sound)

    def _title(self, title: str) -> Tensor | None:
        """Ids of a cleaned title; none of a video without."""
        if self.text is None:
            return None
        cleaned = clean_captions([title], self.text.clean) if self.titles else []
        return self.text(cleaned[0]) if cleaned else torch.zeros(0, dtype=torch.long)


class Collate:
    """Samples to a Batch: ``video``, ``text`` where titles are read, and ``sound``, unless its width is None.

    Targets ``importance`` (B, T), ``judged`` (B, T) bool, and ``annotation``, a list.
    """

    def __init__(self, pad_id: int = 0, *, sound_width: int | None = None) -> None:
        self.pad_id = pad_id
        self.sound_width = sound_width

    def __call__(self, samples: list[Video]) -> Batch:
        inputs: dict[str, Modality | Tokens] = {"video": pad_modality([s.steps for s in samples])}
        titles = [s.title for s in samples if s.title is not None]
        if titles:
            inputs["text"] = pad_texts(titles, self.pad_id)
        if self.sound_width is not None:
            inputs["sound"] = _pad_sound(samples, self.sound_width)
        blank = [torch.zeros(len(s.steps)) for s in samples]
        importance, _ = pad([b if s.importance is None else s.importance for s, b in zip(samples, blank, strict=True)])
        judged, _ = pad(
            [
                torch.full_like(b, s.importance is not None, dtype=torch.bool)
                for s, b in zip(samples, blank, strict=True)
            ]
        )
        target = {"importance": importance, "judged": judged, "annotation": [s.annotation for s in samples]}
        return Batch(inputs, target, [s.id for s in samples])


def _pad_sound(samples: list[Video], width: int) -> Modality:
    """A vector for each step (B, T, width), none real of a silent video."""
    heard = [torch.zeros(len(s.steps), width) if s.sound is None else s.sound for s in samples]
    data, mask = pad(heard)
    return Modality(data, mask & torch.tensor([s.sound is not None for s in samples])[:, None])
