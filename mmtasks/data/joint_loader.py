"""The batches of several tasks as those of one."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.sampling import Sampling
from mmtasks.errors import UserError
from mmtasks.types import Batch


class JointLoader:
    """An epoch of ``steps`` steps, each of the batches of one or several tasks by name; a resumed run goes on within.

    A task's data goes on from epoch to epoch: whenever it has been through once, it comes again in a new order.

    Args:
        loaders: of each task, by name.
        sampling: which of them a step takes.
        steps: of an epoch; None for what ``sampling`` says.
        seed: of the draw.

    Raises:
        UserError: a task has no batch.
    """

    def __init__(
        self,
        loaders: Mapping[str, StatefulDataLoader],
        sampling: Sampling,
        *,
        steps: int | None = None,
        seed: int = 0,
    ) -> None:
        self.sizes = {name: len(loader) for name, loader in loaders.items()}
        if empty := [name for name, size in self.sizes.items() if size == 0]:
            raise UserError(f"{empty[0]}: too few training samples for one batch; give more, or a smaller batch")
        self.steps = steps or sampling.steps(self.sizes)
        self.epoch = self.step = 0
        self._sampling = sampling
        self._seed = seed
        self._streams = {name: Stream(loader) for name, loader in loaders.items()}
        self._within: int | None = None
        """The epoch that a loaded state was in."""

    @property
    def sampler(self) -> "JointLoader":
        """Itself: who is told the epoch before it begins."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[dict[str, Batch]]:
        if self._within != self.epoch or self.step >= self.steps:
            self.step = 0
        self._within = None
        for names in self.draws(self.epoch)[self.step :]:
            self.step += 1
            yield {name: next(self._streams[name]) for name in names}

    def draws(self, epoch: int) -> list[list[str]]:
        """The tasks of each step of an epoch; the same in every process."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + epoch)
        return self._sampling.draw(self.sizes, self.steps, generator)

    def state_dict(self) -> dict[str, Any]:
        """Where the epoch is, and where each task's data is."""
        streams = {name: stream.state_dict() for name, stream in self._streams.items()}
        return {"epoch": self.epoch, "step": self.step, "streams": streams}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there; in another epoch than its own, from there in each task's data, at the first step.

        Raises:
            UserError: it is of other tasks.
        """
        if set(state["streams"]) != set(self._streams):
            tasks = f"{', '.join(sorted(state['streams']))}; the config has {', '.join(sorted(self._streams))}"
            raise UserError(
                f"the checkpoint was within the data of the tasks {tasks}: resume with the config of its run"
            )
        self.epoch, self.step, self._within = state["epoch"], state["step"], state["epoch"]
        for name, stream in self._streams.items():
            stream.load_state_dict(state["streams"][name])


class Stream(Iterator[Batch]):
    """One task's batches without end. Its loader's sampler is told the number of each pass, from 0."""

    def __init__(self, loader: StatefulDataLoader) -> None:
        self._loader = loader
        self._passes = 0
        self._resumed: dict[str, Any] | None = None
        self._batches: Iterator[Batch] | None = None

    def __next__(self) -> Batch:
        if self._batches is None:
            self._batches = self._begin()
        try:
            return next(self._batches)
        except StopIteration:
            self._passes += 1
            self._batches = self._begin()
            return next(self._batches)

    def state_dict(self) -> dict[str, Any]:
        """The pass, and the position in it: before the first batch, the one loaded, or none."""
        return {"passes": self._passes, "loader": self._loader.state_dict() if self._batches else self._resumed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self._passes, self._resumed, self._batches = state["passes"], state["loader"], None
        if self._resumed is not None:
            self._loader.load_state_dict(self._resumed)

    def _begin(self) -> Iterator[Batch]:
        for sampler in (self._loader.sampler, self._loader.batch_sampler):
            if hasattr(sampler, "set_epoch"):
                sampler.set_epoch(self._passes)
        return iter(self._loader)


class Named:
    """One task's batches in evaluation, each under the task's name."""

    def __init__(self, name: str, loader: DataLoader) -> None:
        self._name = name
        self._loader = loader

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[dict[str, Batch | None]]:
        return ({self._name: batch} for batch in self._loader)
