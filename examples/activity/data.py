"""The datamodule of windows of motion and descriptions of activities."""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from activity.rows import MotionRow, MotionSource
from mmtasks.config import Configured, describe
from mmtasks.data.base import TaskData, Texts
from mmtasks.data.clean import clean_captions
from mmtasks.data.collate import pad_modality
from mmtasks.data.sampler import EpochSampler
from mmtasks.data.text import TextProcessor
from mmtasks.data.usable import leave_out, once_each
from mmtasks.errors import UserError
from mmtasks.types import Batch, Facts, Modality, Tokens

Descriptions = dict[str, list[str]]
"""By activity, ways to say it, the usual one first."""


class MotionProcessor(Configured):
    """Steps at one rate.

    Args:
        rate: steps a second.

    >>> MotionProcessor(50.0)(np.zeros((100, 6), dtype=np.float32), rate=25.0).shape
    torch.Size([200, 6])
    """

    def __init__(self, rate: float = 50.0) -> None:
        if rate <= 0:
            raise ValueError(f"rate {rate} must be above 0 steps a second")
        self.rate = rate

    def __call__(self, steps: np.ndarray, *, rate: float) -> Tensor:
        """Steps (T, 6) measured ``rate`` times a second -> (T * self.rate / rate, 6), between steps a straight line."""
        if rate == self.rate:
            return torch.from_numpy(steps)
        times = np.arange(round(len(steps) * self.rate / rate)) * rate / self.rate
        columns = [np.interp(times, np.arange(len(steps)), column) for column in steps.T]
        return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


class Window(NamedTuple):
    """Steps (T, 6), the ids (L_i,) of each description to choose from, which of them is right, and whether trained."""

    id: str
    motion: Tensor
    options: list[Tensor]
    answer: int
    trained: bool


class MotionDataset(Dataset[Window]):
    """Rows to samples: in training each description is drawn among its ways to say it, else it is the first of them."""

    def __init__(
        self,
        rows: Sequence[MotionRow],
        motion: MotionProcessor,
        text: TextProcessor,
        options: Descriptions,
        *,
        trained: set[str],
        train: bool,
        seed: int = 0,
    ) -> None:
        self.rows = rows
        self.motion = motion
        self.text = text
        self.options = options
        self.trained = trained
        self.train = train
        self.seed = seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, key: int) -> Window:
        """key: ``epoch * len + index``."""
        row = self.rows[key % len(self)]
        rng = random.Random(f"{self.seed} {key}")
        said = [rng.choice(ways) if self.train else ways[0] for ways in self.options.values()]
        answer = list(self.options).index(row.activity)
        motion = self.motion(row.load(), rate=row.rate)
        return Window(row.id, motion, [self.text(one) for one in said], answer, row.activity in self.trained)


class Collate:
    """Samples to a Batch: ``motion`` (B, T, 6), ``text`` (B * C, L); targets ``answer`` and ``trained``, both (B,)."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, samples: list[Window]) -> Batch:
        inputs: dict[str, Modality | Tokens] = {
            "motion": pad_modality([s.motion for s in samples]),
            "text": pad_modality([ids for s in samples for ids in s.options], value=self.pad_id),
        }
        target = {
            "answer": torch.tensor([s.answer for s in samples]),
            "trained": torch.tensor([s.trained for s in samples]),
        }
        return Batch(inputs, target, [s.id for s in samples])


class ActivityDataModule(TaskData):
    """Windows of motion, each with all activities described beside it; in training those that are trained on.

    Args:
        train: windows to learn from.
        val: windows to choose by.
        text: cleaning and tokenizer of descriptions.
        descriptions: ways to say each activity, the first for evaluation; None for the activities' own names.
        test: windows to report on, perhaps of activities that training lacks.
        motion: the rate of all windows.
        batch_size: windows a step and process.
        eval_batch_size: windows a step in evaluation.
        num_workers: processes that prepare samples.
        max_bad_fraction: the share of broken rows that is left out before the run stops.
        seed: of order and descriptions.
    """

    def __init__(
        self,
        train: MotionSource,
        val: MotionSource,
        *,
        text: TextProcessor,
        descriptions: Descriptions | None = None,
        test: MotionSource | None = None,
        motion: MotionProcessor | None = None,
        batch_size: int = 32,
        eval_batch_size: int = 32,
        num_workers: int = 0,
        max_bad_fraction: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.sources = {"train": train, "val": val, "test": test if test is not None else val}
        self.text = text
        self.descriptions = descriptions
        self.motion = motion or MotionProcessor()
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.max_bad_fraction = max_bad_fraction
        self.seed = seed
        self.datasets: dict[str, MotionDataset] = {}

    def setup(self, stage: str | None = None) -> None:
        """Leave out broken rows, clean the descriptions, fit the tokenizer on those of the trained activities."""
        if self.datasets:
            return
        rows = once_each(self.sources, self._usable)
        everything = self._described([row for found in rows.values() for row in found])
        trained = {row.activity for row in rows["train"]}
        learned = {name: ways for name, ways in everything.items() if name in trained}
        self.text.fit(_ways(learned))
        for name, found in rows.items():
            train = name == "train"
            options = learned if train else everything
            self.datasets[name] = MotionDataset(
                found, self.motion, self.text, options, trained=trained, train=train, seed=self.seed
            )

    def _usable(self, source: MotionSource) -> list[MotionRow]:
        checked = [_checked(row) for row in source] if source.on_disk else list(source)
        return leave_out(checked, source.problems, self.max_bad_fraction)

    def _described(self, rows: Sequence[MotionRow]) -> Descriptions:
        """The cleaned descriptions of all activities.

        Raises:
            UserError: a row's activity has none.
        """
        given = self.descriptions or {row.activity: [row.activity] for row in rows}
        cleaned = {name: clean_captions(ways, self.text.clean) for name, ways in given.items()}
        for row in rows:
            if not cleaned.get(row.activity):
                raise UserError(f"{row.where}: activity {row.activity!r} is not described; add it to data.descriptions")
        return cleaned

    def texts(self) -> dict[str, Texts]:
        """All descriptions of training."""
        return {"text": (self.text, _ways(self.datasets["train"].options))}

    def facts(self) -> Facts:
        """What the model must know before its weights exist."""
        return {"motion": {}, "text": self.text.facts()}

    def describe_processors(self) -> dict[str, Any]:
        """The preparation of each modality as plain values, for the checkpoint."""
        return {
            "motion": {"config": describe(self.motion), "state": {}},
            "text": {"config": describe(self.text), "state": self.text.state_dict()},
        }

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        """Batches of windows."""
        dataset = self.datasets[name]
        world, rank = self.processes()
        return StatefulDataLoader(
            dataset,
            batch_size=self.batch_size if shuffle else self.eval_batch_size,
            sampler=EpochSampler(len(dataset), shuffle=shuffle, seed=self.seed, rank=rank, world_size=world),
            num_workers=self.num_workers,
            collate_fn=Collate(self.text.facts()["pad_id"]),
        )


def _ways(descriptions: Descriptions) -> list[str]:
    return [way for ways in descriptions.values() for way in ways]


def _checked(row: MotionRow) -> MotionRow | str:
    try:
        row.load()
    except UserError as error:
        return str(error)
    return row
