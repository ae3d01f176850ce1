"""Batches of equal total length: long utterances few at a time, short ones many, padding little."""

import itertools
from collections.abc import Sequence

import torch

from mmtasks.data.sampler import Planned


class LengthBatches(Planned[list[int]]):
    """Batches of keys ``epoch * size + index`` whose padded length stays below a budget.

    Utterances are sorted by length times a random factor, cut into batches, and the batches come in random order, all
    drawn by (seed, epoch). A batch is one of all processes together, dealt out among them in equal shares, none of
    which is above the budget: N processes with a budget of B / N have about the batches of one with B, cut elsewhere
    where those could not be divided. As many samples as the number of processes leaves over, other ones in each epoch,
    are left out of training.

    Args:
        lengths: of each sample, in any unit.
        budget: the most of batch size * longest of a batch, of one process. A single longer sample is a process's
            whole share of a batch.
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
        self._left_over = len(self.lengths) % world_size if shuffle else 0
        self._sizes = self._cut()

    def __len__(self) -> int:
        """Batches of every epoch."""
        return sum(size > self.rank for size in self._sizes)

    def plan(self, epoch: int) -> list[list[int]]:
        """This process's batches of an epoch, in order."""
        size = len(self.lengths)
        dealt = [batch[self.rank :: self.world_size] for batch in self._together(epoch)]
        return [[epoch * size + index for index in batch] for batch in dealt if batch]

    def padding(self, epoch: int = 0) -> float:
        """The share of an epoch's batches that is padding, 0–1, over all processes; 0 without a batch."""
        together = self._together(epoch)
        shares = [batch[rank :: self.world_size] for batch in together for rank in range(self.world_size)]
        lengths = [[self.lengths[index] for index in share] for share in shares if share]
        padded = sum(len(share) * max(share) for share in lengths)
        return max(0.0, 1 - sum(map(sum, lengths)) / padded) if padded else 0.0

    def _together(self, epoch: int) -> list[list[int]]:
        """Positions of the samples of each batch of all processes."""
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        factors = 1 + self.jitter * (2 * torch.rand(len(self.lengths), generator=generator, dtype=torch.double) - 1)
        keys = torch.tensor(self.lengths, dtype=torch.double) * (factors if self.shuffle else 1)
        absent: set[int] = set()
        if self._left_over:
            absent = set(torch.randperm(len(self.lengths), generator=generator)[: self._left_over].tolist())
        order = (index for index in keys.argsort(stable=True).tolist() if index not in absent)
        batches = [list(itertools.islice(order, size)) for size in self._sizes]
        if not self.shuffle:
            return batches
        return [batches[i] for i in torch.randperm(len(batches), generator=generator).tolist()]

    def _cut(self) -> list[int]:
        """Sizes of the batches of all processes, shortest samples first, the same in every epoch.

        Samples come by the ``world_size``, one for each process. The k-th shortest by jittered length is at most
        (1 + jitter) / (1 - jitter) times as long as the k-th by length, whichever samples are left out if that is
        counted from the shortest but those.
        """
        margin = (1 + self.jitter) / (1 - self.jitter) if self.shuffle else 1
        lengths = sorted(self.lengths)[self._left_over :]
        sizes: list[int] = []
        share = 0  # samples of a process in the last batch
        for start in range(0, len(lengths), self.world_size):
            samples = lengths[start : start + self.world_size]
            if not share or share == self.max_size or (share + 1) * samples[-1] * margin > self.budget:
                sizes.append(0)
                share = 0
            sizes[-1] += len(samples)
            share += 1
        return sizes
