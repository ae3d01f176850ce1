"""A few samples of a task's data, as batches that a check needs."""

from collections.abc import Collection
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.base import TaskData
from mmtasks.tasks.base import TaskModule
from mmtasks.types import Batch, Facts, Modality, Tokens

FEW = 4
LONGER = 0.25
"""Padding that is added to each input, as a share of its length."""


class Samples(NamedTuple):
    """By objective: a batch of training, and of evaluation a sample alone, and the same before a few others, padded."""

    step: dict[str, Batch]
    tasks: dict[str, tuple[Batch, Batch]]


def draw(model: TaskModule, data: TaskData) -> Samples:
    """Samples for each objective; those that share a datamodule share them."""
    by_data = {id(data.task(name)): data.task(name) for name in model.objectives}
    steps = {key: next(iter(one.train_dataloader())) for key, one in by_data.items()}
    pairs = {key: _alone_and_together(one.val_dataloader()) for key, one in by_data.items()}
    positions, facts = model.backbone.positions or {}, model.facts or {}
    pairs = {key: (alone, padded(together, facts, fixed=positions)) for key, (alone, together) in pairs.items()}
    keys = {name: id(data.task(name)) for name in model.objectives}
    return Samples({name: steps[key] for name, key in keys.items()}, {name: pairs[key] for name, key in keys.items()})


def padded(batch: Batch, facts: Facts, *, fixed: Collection[str] = ()) -> Batch:
    """The batch as beside a longer sample: more padding after each input, of ``pad_id`` or zeros, up to ``max_length``.

    fixed: modalities that cannot be longer.
    """
    inputs = {n: v if n in fixed else _longer(v, **_padding(facts.get(n, {}))) for n, v in batch.inputs.items()}
    return batch._replace(inputs=inputs)


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


def _padding(facts: Facts) -> dict[str, Any]:
    """What a modality is filled with, and to which length at most."""
    return {"value": facts.get("pad_id", 0), "most": facts.get("max_length")}


def _longer(given: Modality | Tokens, *, value: float, most: int | None) -> Modality | Tokens:
    data, mask = given
    length = mask.shape[1]
    wanted = length + max(FEW, int(length * LONGER))
    added = max(0, (wanted if most is None else min(wanted, most)) - length)
    filling = data.new_full((len(data), added, *data.shape[2:]), value)
    return type(given)(torch.cat([data, filling], dim=1), F.pad(mask, (0, added)))


def _positions(batch: Batch) -> int:
    """How many positions are real, of all modalities."""
    values: list[Modality | Tokens] = list(batch.inputs.values())
    return int(torch.stack([value.mask.sum() for value in values]).sum())
