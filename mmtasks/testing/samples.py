"""A few samples of a task's data, as batches that a check needs."""

from typing import NamedTuple

import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.base import TaskData
from mmtasks.tasks.base import TaskModule
from mmtasks.types import Batch, Modality, Tokens

FEW = 4


class Samples(NamedTuple):
    """By objective: a batch of training, and of evaluation a sample alone, and the same before a few others."""

    step: dict[str, Batch]
    tasks: dict[str, tuple[Batch, Batch]]


def draw(model: TaskModule, data: TaskData) -> Samples:
    """Samples for each objective; those that share a datamodule share them."""
    by_data = {id(data.task(name)): data.task(name) for name in model.objectives}
    steps = {key: next(iter(one.train_dataloader())) for key, one in by_data.items()}
    pairs = {key: _alone_and_together(one.val_dataloader()) for key, one in by_data.items()}
    keys = {name: id(data.task(name)) for name in model.objectives}
    return Samples({name: steps[key] for name, key in keys.items()}, {name: pairs[key] for name, key in keys.items()})


def without(batch: Batch, modality: str, rows: int | None = None) -> Batch:
    """The batch whose first ``rows`` rows of a modality, or all, are missing: zeros, and all False in the mask."""
    data, mask = batch.inputs[modality]
    data, mask = data.clone(), mask.clone()
    data[:rows] = 0
    mask[:rows] = False
    kind = type(batch.inputs[modality])
    return batch._replace(inputs={**batch.inputs, modality: kind(data, mask)})


def _alone_and_together(loader: StatefulDataLoader) -> tuple[Batch, Batch]:
    """The shortest of the first few samples alone, and with the others after it."""
    dataset, collate = loader.dataset, loader.collate_fn
    found = [dataset[index] for index in range(min(FEW, len(dataset)))]
    found.sort(key=lambda sample: _positions(collate([sample])))
    return collate(found[:1]), collate(found)


def _positions(batch: Batch) -> int:
    """How many positions are real, of all modalities."""
    values: list[Modality | Tokens] = list(batch.inputs.values())
    return int(torch.stack([value.mask.sum() for value in values]).sum())
