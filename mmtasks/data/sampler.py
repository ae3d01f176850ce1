"""Which sample comes when: seeded by (seed, epoch), split over processes, able to go on where it stopped."""

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import torch
from torch.utils.data import Sampler

T = TypeVar("T")


class Planned(Sampler[T]):
    """A sampler that knows all it will give in an epoch beforehand. Subclasses give ``plan``."""

    epoch = 0

    @property
    def sampler(self) -> "Planned[T]":
        """Itself: given as ``batch_sampler``, only what stands here is told the epoch by Lightning."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def plan(self, epoch: int) -> list[T]:
        """Everything that this process gets in an epoch, in order."""
        raise NotImplementedError(f"{type(self).__name__}.plan")

    def __iter__(self) -> "Pass[T]":
        return Pass(self)


class Pass(Iterator[T], Generic[T]):
    """One pass of a Planned sampler. It saves epoch and position itself: a loader that goes on within an epoch makes
    its iterator before the trainer says which epoch it is.
    """

    def __init__(self, sampler: Planned[T]) -> None:
        self._sampler = sampler
        self.load_state_dict({"epoch": sampler.epoch, "position": 0})

    def __next__(self) -> T:
        if self.position >= len(self._plan):
            raise StopIteration
        self.position += 1
        return self._plan[self.position - 1]

    def state_dict(self) -> dict[str, Any]:
        """Where this pass is."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.epoch, self.position = state["epoch"], state["position"]
        self._plan = self._sampler.plan(self.epoch)


class EpochSampler(Planned[int]):
    """Keys ``epoch * size + index``: the dataset learns the epoch from the key, so augmentation is reproducible too.

    With ``shuffle`` each process gets an equal share (a remainder is left out of the epoch); without, every sample
    comes exactly once over all processes, so the last process may get one less.
    """

    def __init__(self, size: int, *, shuffle: bool, seed: int = 0, rank: int = 0, world_size: int = 1, group: int = 1):
        self.size = size
        self.shuffle = shuffle
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.group = group

    def plan(self, epoch: int) -> list[int]:
        """This process's keys of an epoch, in order."""
        order = self._order(epoch)[self.rank :: self.world_size][: len(self)]
        return [epoch * self.size + index for index in order]

    def __len__(self) -> int:
        if self.shuffle:
            return self.size // self.world_size
        return len(range(self.rank, self.size, self.world_size))

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffle:
            return list(range(self.size))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        groups = torch.randperm(-(-self.size // self.group), generator=generator).tolist()
        return [i for g in groups for i in range(g * self.group, min(self.size, (g + 1) * self.group))]
