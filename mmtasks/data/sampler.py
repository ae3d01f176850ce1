"""Which sample comes when: seeded by (seed, epoch), split over processes, able to go on where it stopped."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class EpochSampler(Sampler[int]):
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
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __iter__(self) -> "EpochIterator":
        return EpochIterator(self)

    def keys(self, epoch: int) -> list[int]:
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


class EpochIterator(Iterator[int]):
    """One pass of an EpochSampler. It saves epoch and position itself: a loader that goes on within an epoch makes its
    iterator before the trainer says which epoch it is.
    """

    def __init__(self, sampler: EpochSampler) -> None:
        self.sampler = sampler
        self.load_state_dict({"epoch": sampler.epoch, "position": 0})

    def __next__(self) -> int:
        if self.position >= len(self.keys):
            raise StopIteration
        self.position += 1
        return self.keys[self.position - 1]

    def state_dict(self) -> dict[str, int]:
        """Where this pass is."""
        return {"epoch": self.epoch, "position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self.epoch, self.position = state["epoch"], state["position"]
        self.keys = self.sampler.keys(self.epoch)
