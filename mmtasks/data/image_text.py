"""The datamodule of images with captions."""

import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.config import describe
from mmtasks.data.base import TaskData, Texts, check_options
from mmtasks.data.feature_cache import cached_features
from mmtasks.data.image_text_dataset import Collate, ImageTextDataset
from mmtasks.data.images import ImageProcessor
from mmtasks.data.rows import ImageTextRow, ImageTextSource
from mmtasks.data.sampler import EpochSampler
from mmtasks.data.text import TextProcessor
from mmtasks.data.usable import once_each, usable_rows
from mmtasks.types import Facts


class ImageTextDataModule(TaskData):
    """Sources of images with captions, prepared for training and evaluation.

    Args:
        train: rows to learn from.
        val: rows to choose by.
        test: rows to report on.
        text: cleaning and tokenizer of captions.
        image: preparation and augmentation of pictures.
        batch_size: pictures a step and process.
        eval_batch_size: pictures a step in evaluation.
        num_workers: processes that prepare samples.
        group: neighbouring training rows that stay in one batch, for sources that bring pairs.
        captions: captions drawn for each picture of a training step.
        views: what ``feature_cache`` holds of a training picture besides itself: image steps for each view, as
            ``[[{RandomHorizontalFlip: {p: 1.0}}]]``.
        feature_cache: folder for the features of frozen encoders; none means no cache.
        max_bad_fraction: the share of broken rows that is skipped before the run stops.
        seed: of order, captions and augmentation.
    """

    def __init__(
        self,
        train: ImageTextSource,
        val: ImageTextSource,
        *,
        text: TextProcessor,
        test: ImageTextSource | None = None,
        image: ImageProcessor | None = None,
        batch_size: int = 64,
        eval_batch_size: int = 64,
        num_workers: int = 0,
        group: int = 1,
        captions: int = 1,
        views: list[list[str | dict[str, Any]]] | None = None,
        feature_cache: str | None = None,
        max_bad_fraction: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_options(
            num_workers=num_workers,
            max_bad_fraction=max_bad_fraction,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            group=group,
            captions=captions,
        )
        self.sources = {"train": train, "val": val, "test": test if test is not None else val}
        self.text = text
        self.image = image or ImageProcessor()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.group = group
        self.captions = captions
        self.views = {f" {json.dumps(steps)}": ImageProcessor(self.image.steps, augment=steps) for steps in views or []}
        self.feature_cache = feature_cache
        self.max_bad_fraction = max_bad_fraction
        self.seed = seed
        self.datasets: dict[str, ImageTextDataset] = {}

    def setup(self, stage: str | None = None) -> None:
        """Leave out broken rows, clean the captions, fit the tokenizer on the training captions."""
        if self.datasets:
            return
        rows = once_each(self.sources, self._usable)
        self.text.fit(_captions(rows["train"]))
        for name, usable in rows.items():
            self.datasets[name] = ImageTextDataset(
                usable,
                self.image,
                self.text,
                train=name == "train",
                captions=self.captions,
                views=list(self.views),
                seed=self.seed,
            )

    def texts(self) -> dict[str, Texts]:
        """All captions of training."""
        return {"text": (self.text, _captions(self.datasets["train"].rows))}

    def _usable(self, source: ImageTextSource) -> list[ImageTextRow]:
        keys = self.feature_cache is not None
        return usable_rows(source, self.text.clean, max_bad_fraction=self.max_bad_fraction, keys=keys)

    def facts(self) -> Facts:
        """What the model must know before its weights exist."""
        labels = [row.label for dataset in self.datasets.values() for row in dataset.rows if row.label is not None]
        label = {"label": {"num_classes": max(labels) + 1}} if labels else {}
        return {"image": {}, "text": self.text.facts(), **label}

    def describe_processors(self) -> dict[str, Any]:
        """The preparation of each modality as plain values, for the checkpoint."""
        return {
            "image": {"config": describe(self.image), "state": {}},
            "text": {"config": describe(self.text), "state": self.text.state_dict()},
        }

    def cache_features(self, name: str, encoder: nn.Module, device: torch.device) -> None:
        """Serve the features of a modality's frozen encoder instead of raw samples."""
        assert self.feature_cache is not None
        cache = cached_features(
            encoder,
            self._loaders(name),
            self.feature_cache,
            describe(encoder),
            self.describe_processors()[name],
            device=device,
            trainer=self.trainer,
            pad_value=self.text.facts()["pad_id"] if name == "text" else 0,
        )
        for dataset in self.datasets.values():
            dataset.features[name] = cache

    def _loaders(self, name: str) -> dict[str, Callable[[], Tensor]]:
        """By key, what reads the raw sample of each picture or caption."""
        rows = [row for dataset in self.datasets.values() for row in dataset.rows]
        if name == "text":
            return {caption: partial(self.text, caption) for row in rows for caption in row.captions}
        pictures: dict[str, Callable[[], Tensor]] = {row.key: partial(_pixels, self.image, row) for row in rows}
        for view, processor in self.views.items():
            training = self.datasets["train"].rows
            pictures |= {row.key + view: partial(_pixels, processor, row, train=True) for row in training}
        return pictures

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        """Batches of pictures."""
        dataset = self.datasets[name]
        world, rank = self.processes()
        sampler = EpochSampler(
            len(dataset), shuffle=shuffle, seed=self.seed, rank=rank, world_size=world, group=self.group
        )
        return StatefulDataLoader(
            dataset,
            batch_size=self.batch_size if shuffle else self.eval_batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=shuffle and self.num_workers > 0,
            collate_fn=Collate(self.text.facts()["pad_id"]),
            drop_last=shuffle and len(sampler) > self.batch_size,
        )


def _captions(rows: Sequence[ImageTextRow]) -> list[str]:
    return [caption for row in rows for caption in row.captions]


def _pixels(processor: ImageProcessor, row: ImageTextRow, *, train: bool = False) -> Tensor:
    """A row's picture -> (1, 3, H, W)."""
    return processor(row.load(), train=train)
