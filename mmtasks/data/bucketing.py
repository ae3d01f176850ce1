"""Batches of equal total length: long utterances few at a time, short ones many, padding little."""

import itertools
from collections.abc import Sequence

import torch

from mmtasks.data.sampler import Planned


class LengthBatches(Planned[list[int]]):
    """Batches of keys ``epoch * size + index`` whose padded length stays below a budget.

    Utterances are sorted by length times a random factor, cut into batches, and the batches come in random order, all
    drawn by (seed, epoch). A batch is one of all processes together, dealt out among them: N processes with a budget
    of B / N see what one with B sees.

    Args:
        lengths: of each sample, in any unit.
        budget: the most of batch size * longest of a batch, of one process. A single longer sample is a batch alone.
        max_size: the most samples of a batch, of one process.
        shuffle: draw order and jitter; otherwise batches come by length, shortest first, each sample exactly once over
            all processes.
        jitter: how much the length that is sorted by may differ from the true one, 0–1.
        seed: of all draws.
        rank: this process.
        world_size: processes that train together.
    """

    def __init__(
        self,
        lengths: Sequence[float],
        budget: float,
        *,
        max_size: int = 256,
        shuffle: bool,
        jitter: float = 0.05,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if not 0 <= jitter < 1:
            raise ValueError(f"jitter {jitter} must be at least 0 and below 1")
        self.lengths = list(lengths)
        self.budget = budget
        self.max_size = max_size
        self.shuffle = shuffle
        self.jitter = jitter
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self._sizes = self._cut()

    def __len__(self) -> int:
        """Batches of every epoch."""
        fewest = self.world_size if self.shuffle else self.rank + 1
        return sum(size >= fewest for size in self._sizes)

    def plan(self, epoch: int) -> list[list[int]]:
        """This process's batches of an epoch, in order."""
        size = len(self.lengths)
        together = self._together(epoch)
        if self.shuffle:  # every process takes part in every step
            together = [batch for batch in together if len(batch) >= self.world_size]
        dealt = [batch[self.rank :: self.world_size] for batch in together]
        return [[epoch * size + index for index in batch] for batch in dealt if batch]

    def padding(self, epoch: int = 0) -> float:
        """The share of an epoch's batches that is padding, 0–1, over all processes."""
        together = self._together(epoch)
        real = sum(self.lengths[index] for batch in together for index in batch)
        padded = sum(len(batch) * max(self.lengths[index] for index in batch) for batch in together)
        return 1 - real / padded

    def _together(self, epoch: int) -> list[list[int]]:
        """Positions of the samples of each batch of all processes."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        factors = 1 + self.jitter * (2 * torch.rand(len(self.lengths), generator=generator, dtype=torch.double) - 1)
        keys = torch.tensor(self.lengths, dtype=torch.double) * (factors if self.shuffle else 1)
        order = iter(keys.argsort(stable=True).tolist())
        batches = [list(itertools.islice(order, size)) for size in self._sizes]
        if not self.shuffle:
            return batches
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def _cut(self) -> list[int]:
        """Sizes of the batches of all processes, shortest samples first, the same in every epoch.

        The k-th shortest by jittered length is at most (1 + jitter) / (1 - jitter) times as long as the k-th by length.
        """
        margin = (1 + self.jitter) / (1 - self.jitter) if self.shuffle else 1
        sizes, size = [], 0
        for length in sorted(self.lengths):
            too_long = (size + 1) * length * margin > self.budget * self.world_size
            if size and (too_long or size == self.max_size * self.world_size):
                sizes.append(size)
                size = 0
            size += 1
        return [*sizes, size] if size else sizes
