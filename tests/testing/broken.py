"""A small task with a switch for each promise it may break."""

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader
from torchmetrics import MeanMetric

from mmtasks.data.base import TaskData
from mmtasks.data.collate import pad_modality
from mmtasks.data.sampler import EpochSampler
from mmtasks.distributed import world_size
from mmtasks.encoders.base import Encoder
from mmtasks.layers import masked_mean
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Facts, Fuse, Modality, Tokens


class Linear(Encoder):
    """A token for each step.

    fault: ``neighbour``, ``length`` counts padded steps too, ``nan`` where nothing is real, ``forgets`` a weight,
    ``unused``.
    """

    width = 8

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault = fault

    def build(self, facts: Facts) -> None:
        self.layer = nn.Linear(2, self.width)
        if self.fault == "unused":
            self.spare = nn.Linear(2, 2)
        if self.fault == "forgets":
            self.register_buffer("offset", torch.randn(self.width), persistent=False)

    def forward(self, modality: Modality) -> Tokens:
        x, mask = self.layer(modality.data), modality.mask
        if self.fault == "forgets":
            x = x + self.offset
        if self.fault == "neighbour":
            x = x - x.mean(dim=(0, 1))
        if self.fault == "length":
            x = x - x.mean(dim=1, keepdim=True)
        if self.fault == "nan":
            x = x - x.masked_fill(~mask[..., None], 0).sum(1, keepdim=True) / mask.sum(1)[:, None, None]
        return Tokens(x, mask)


class Output(NamedTuple):
    """score: (B,)."""

    score: Tensor


@dataclass
class Coupled:
    """The same, less the mean of the batch."""

    score: Tensor


class Hidden:
    """The same, where nobody looks."""

    def __init__(self, score: Tensor) -> None:
        self.score = score


class Regression(Objective):
    """A number for each sample.

    fault: ``padding`` counts padded tokens too; ``empty`` divides by nothing; ``absent`` leaves a layer out where its
    stream is, ``two`` where two processes train; ``figure`` is none; ``coupled``, ``hidden``: see the outputs.
    """

    def __init__(self, fault: str = "") -> None:
        super().__init__()
        self.fault = fault

    def build(self, dim: int, facts: Facts) -> None:
        self.head = nn.Linear(dim, 1)
        self.extra = nn.Linear(dim, 1)

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> Output | Coupled | Hidden:
        fused = fuse(tokens)
        x = fused.x.mean(dim=1) if self.fault == "padding" else masked_mean(fused.x, fused.mask)
        score = self.head(x)[:, 0]
        left_out = (self.fault == "absent" and not tokens["b"].mask.any()) or (self.fault == "two" and world_size() > 1)
        if not left_out:
            score = score + self.extra(masked_mean(*tokens["b"]))[:, 0]
        if self.fault == "empty":
            some = tokens["b"].mask.any(dim=1)
            score = some * score / some
        if self.fault == "hidden":
            return Hidden(score)
        return Coupled(score - score.mean()) if self.fault == "coupled" else Output(score)

    def losses(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        return {"squares": F.mse_loss(output.score, batch.target["number"])}

    def metrics(self) -> MeanMetric:
        return MeanMetric()

    def update_metrics(self, metrics: MeanMetric, output: Any, batch: Batch) -> None:
        metrics.update((output.score - batch.target["number"]).abs())

    def compute_metrics(self, metrics: Any, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        return {"error": metrics.compute() * (float("nan") if self.fault == "figure" else 1)}


class Numbers(Dataset[int]):
    """Eight samples, the number of each its key."""

    def __len__(self) -> int:
        return 8

    def __getitem__(self, key: int) -> int:
        return key % len(self)


def collate(samples: list[int], *, equal: bool = False) -> Batch:
    """Streams ``a`` and ``b`` of different lengths, or all of one."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(8, 12, 2, generator=generator)
    inputs: dict[str, Modality | Tokens] = {
        "a": pad_modality([noise[i, : 6 if equal else 2 + i] for i in samples]),
        "b": pad_modality([noise[i, : 6 if equal else 10 - i] for i in samples]),
    }
    return Batch(inputs, {"number": torch.tensor(samples) / 8}, [str(i) for i in samples])


class NumberData(TaskData):
    """Feeds ``Numbers``, of equal lengths or not."""

    def __init__(self, equal: bool = False) -> None:
        super().__init__()
        self.equal = equal

    def setup(self, stage: str | None = None) -> None:
        self.dataset = Numbers()

    def facts(self) -> Facts:
        return {"a": {}, "b": {}}

    def describe_processors(self) -> dict[str, Any]:
        return {}

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        world, rank = self.processes()
        sampler = EpochSampler(8, shuffle=shuffle, rank=rank, world_size=world)
        batches = partial(collate, equal=self.equal)
        return StatefulDataLoader(self.dataset, batch_size=2, sampler=sampler, collate_fn=batches)
