"""Rows of images with captions as samples and batches."""

import random
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from mmtasks.data.collate import pad_modality, pad_tokens
from mmtasks.data.feature_cache import FeatureCache
from mmtasks.data.images import ImageProcessor
from mmtasks.data.rows import ImageTextRow
from mmtasks.data.text import TextProcessor
from mmtasks.types import Batch, Modality, Tokens


class Sample(NamedTuple):
    """One image (1, 3, H, W) with its captions' ids (L_i,); or the features (N, D) of either from a frozen encoder."""

    row: int
    id: str
    image: Tensor
    captions: list[Tensor]
    label: int | None


class ImageTextDataset(Dataset[Sample]):
    """Rows to samples: in training ``captions`` captions drawn by (seed, epoch, row), else all of them.

    ``features`` may hold a cache by modality's name; it then takes the place of pixels or ids. ``views`` names what the
    cache of pictures holds besides each picture as it is; training draws one of them all.
    """

    def __init__(
        self,
        rows: Sequence[ImageTextRow],
        image: ImageProcessor,
        text: TextProcessor,
        *,
        train: bool,
        captions: int = 1,
        views: Sequence[str] = (),
        seed: int = 0,
    ) -> None:
        self.rows = rows
        self.image = image
        self.text = text
        self.train = train
        self.captions = captions
        self.views = list(views) if train else []
        self.seed = seed
        self.features: dict[str, FeatureCache] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int) -> Sample:
        """key: ``epoch * len + index``."""
        index = key % len(self)
        row = self.rows[index]
        captions = self._draw(row.captions, key) if self.train else row.captions
        return Sample(index, row.id, self._image(row, key), [self._caption(c) for c in captions], row.label)

    def _draw(self, captions: list[str], key: int) -> list[str]:
        """Always equally many, so that all processes bring the same shape: a row with too few repeats some."""
        rng = random.Random(f"{self.seed} {key}")
        drawn = rng.sample(captions, min(self.captions, len(captions)))
        return drawn + rng.choices(captions, k=self.captions - len(drawn))

    def _caption(self, caption: str) -> Tensor:
        return self.features["text"][caption] if "text" in self.features else self.text(caption)

    def _image(self, row: ImageTextRow, key: int) -> Tensor:
        if "image" in self.features:
            view = random.Random(f"view {self.seed} {key}").choice(["", *self.views])
            return self.features["image"][row.key + view]
        if not self.train:
            return self.image(row.load())
        with torch.random.fork_rng(devices=[]):
            # not torch.manual_seed, which seeds every device too
            torch.default_generator.manual_seed(self.seed * 1_000_003 + key)
            return self.image(row.load(), train=True)


class Collate:
    """Samples to a Batch; targets ``image_index`` (B,), ``text_index`` (C,) number the picture, ``label`` (B,)."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, samples: list[Sample]) -> Batch:
        target = {
            "image_index": torch.tensor([s.row for s in samples]),
            "text_index": torch.tensor([s.row for s in samples for _ in s.captions]),
        }
        labels = [s.label for s in samples if s.label is not None]
        if labels:
            target["label"] = torch.tensor(labels)
        inputs = {
            "image": _pad([s.image for s in samples]),
            "text": _pad([caption for s in samples for caption in s.captions], value=self.pad_id),
        }
        return Batch(inputs, target, [s.id for s in samples])


def _pad(items: list[Tensor], *, value: float = 0) -> Modality | Tokens:
    encoded = items[0].ndim == 2  # features of a frozen encoder
    return pad_tokens(items) if encoded else pad_modality(items, value=value)
