"""Images with captions: dataset and datamodule."""

import os
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from lightning import LightningDataModule
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.config import describe
from mmtasks.data.clean import clean_captions
from mmtasks.data.collate import pad_modality, pad_tokens
from mmtasks.data.feature_cache import FeatureCache, fingerprint
from mmtasks.data.images import ImageProcessor
from mmtasks.data.rows import ImageTextRow, ImageTextSource
from mmtasks.data.sampler import EpochSampler
from mmtasks.data.text import TextProcessor
from mmtasks.errors import UserError
from mmtasks.types import Batch, Facts, Modality


class Sample(NamedTuple):
    """One image (1, 3, H, W), or its features (N, D), with its captions (L_i,)."""

    row: int
    id: str
    image: Tensor
    captions: list[Tensor]
    label: int | None


class ImageTextDataset(Dataset[Sample]):
    """Rows to samples: in training one caption drawn by (seed, epoch, row), else all captions."""

    def __init__(
        self, rows: Sequence[ImageTextRow], image: ImageProcessor, text: TextProcessor, *, train: bool, seed: int = 0
    ) -> None:
        self.rows = rows
        self.image = image
        self.text = text
        self.train = train
        self.seed = seed
        self.features: FeatureCache | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int) -> Sample:
        """key: ``epoch * len + index``."""
        index = key % len(self)
        row = self.rows[index]
        captions = row.captions
        if self.train:
            captions = [random.Random(f"{self.seed} {key}").choice(captions)]
        return Sample(index, row.id, self._image(row, key), [self.text(c) for c in captions], row.label)

    def _image(self, row: ImageTextRow, key: int) -> Tensor:
        if self.features is not None:
            return self.features[row.id]
        if not self.train:
            return self.image(row.load())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed * 1_000_003 + key)
            return self.image(row.load(), train=True)


class Collate:
    """Samples to a Batch; targets ``image_index`` (B,), ``text_index`` (C,) number the picture, ``label`` (B,)."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, samples: list[Sample]) -> Batch:
        images = [s.image for s in samples]
        texts = [caption for s in samples for caption in s.captions]
        encoded = images[0].ndim == 2  # features of a frozen encoder
        target = {
            "image_index": torch.tensor([s.row for s in samples]),
            "text_index": torch.tensor([s.row for s in samples for _ in s.captions]),
        }
        labels = [s.label for s in samples if s.label is not None]
        if labels:
            target["label"] = torch.tensor(labels)
        inputs: dict[str, Any] = {"image": pad_tokens(images) if encoded else pad_modality(images)}
        inputs["text"] = pad_modality(texts, value=self.pad_id)
        return Batch(inputs, target, [s.id for s in samples])


class ImageTextDataModule(LightningDataModule):
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
        feature_cache: folder for the features of a frozen image encoder; none means no cache.
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
        feature_cache: str | None = None,
        max_bad_fraction: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sources = {"train": train, "val": val, "test": test if test is not None else val}
        self.text = text
        self.image = image or ImageProcessor()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.group = group
        self.feature_cache = feature_cache
        self.max_bad_fraction = max_bad_fraction
        self.seed = seed
        self.datasets: dict[str, ImageTextDataset] = {}

    def setup(self, stage: str | None = None) -> None:
        """Clean the captions, fit the tokenizer on the training captions, leave out broken rows."""
        if self.datasets:
            return
        rows = {name: self._usable(source) for name, source in self.sources.items()}
        self.text.fit(caption for row in rows["train"] for caption in row.captions)
        for name, usable in rows.items():
            train = name == "train"
            self.datasets[name] = ImageTextDataset(usable, self.image, self.text, train=train, seed=self.seed)

    def facts(self) -> Facts:
        """What the model must know before its weights exist."""
        return {"image": {}, "text": self.text.facts()}

    def describe_processors(self) -> dict[str, Any]:
        """The preparation of each modality as plain values, for the checkpoint."""
        return {
            "image": {"config": describe(self.image), "state": {}},
            "text": {"config": describe(self.text), "state": self.text.state_dict()},
        }

    def cache_features(self, encoder: nn.Module, device: torch.device) -> None:
        """Run the frozen image encoder once over every picture that the cache lacks, then serve its features."""
        assert self.feature_cache is not None
        key = fingerprint(encoder, describe(self.image))
        cache = FeatureCache(os.path.expandvars(self.feature_cache), key)
        for dataset in self.datasets.values():
            _fill(cache, dataset, encoder, device)
            dataset.features = cache

    def train_dataloader(self) -> StatefulDataLoader:
        """Shuffled by (seed, epoch)."""
        return self._loader("train", shuffle=True)

    def val_dataloader(self) -> StatefulDataLoader:
        """In order, each picture once."""
        return self._loader("val", shuffle=False)

    def test_dataloader(self) -> StatefulDataLoader:
        """In order, each picture once."""
        return self._loader("test", shuffle=False)

    def _loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        dataset = self.datasets[name]
        world, rank = (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)
        sampler = EpochSampler(
            len(dataset), shuffle=shuffle, seed=self.seed, rank=rank, world_size=world, group=self.group
        )
        return StatefulDataLoader(
            dataset,
            batch_size=self.batch_size if shuffle else self.eval_batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            collate_fn=Collate(self.text.facts()["pad_id"]),
            drop_last=shuffle and len(sampler) > self.batch_size,
        )

    def _usable(self, source: ImageTextSource) -> list[ImageTextRow]:
        problems = list(source.problems)
        usable = []
        for row in source:
            captions = clean_captions(row.captions, [*self.text.clean, "dedupe"]) if row.captions else []
            if source.on_disk:
                try:
                    row.load()
                except UserError as error:
                    problems.append(str(error))
                    continue
            if not any(captions):
                problems.append(f"{row.where}: no caption is left after cleaning")
                continue
            usable.append(ImageTextRow(row.id, captions, row.load, row.where, row.label))
        allowed = self.max_bad_fraction * (len(usable) + len(problems))
        if len(problems) > allowed or not usable:
            listed = "; ".join(problems[:5])
            raise UserError(f"{len(problems)} broken rows, max_bad_fraction allows {int(allowed)}: {listed}")
        return usable


def _fill(cache: FeatureCache, dataset: ImageTextDataset, encoder: nn.Module, device: torch.device) -> None:
    wanted = set(cache.missing(row.id for row in dataset.rows))
    rows = [row for row in dataset.rows if row.id in wanted]
    for start in range(0, len(rows), 64):
        part = rows[start : start + 64]
        images = pad_modality([dataset.image(row.load()) for row in part])
        with torch.inference_mode():
            tokens = encoder(Modality(images.data.to(device), images.mask.to(device)))
        features = [x[mask] for x, mask in zip(tokens.x, tokens.mask, strict=True)]
        cache.add([row.id for row in part], features)
