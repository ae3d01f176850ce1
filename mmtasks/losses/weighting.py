"""How much each task's loss counts in the sum that joint training minimises."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmtasks.errors import UserError
from mmtasks.losses.gradients import shared_gradients


class Weighting(nn.Module):
    """Base class. ``build`` makes what is learned or remembered, once the names of the tasks are known.

    ``measures_gradients`` says whether ``forward`` needs the weights that tasks share, whole in each process.
    """

    measures_gradients = False

    def build(self, names: Sequence[str]) -> None:
        """Make ready for these tasks."""

    def forward(self, losses: dict[str, Tensor], shared: Sequence[nn.Parameter]) -> dict[str, Tensor]:
        """The loss of each task of this step, and the weights that tasks share -> what each adds to the sum."""
        raise NotImplementedError(f"{type(self).__name__}.forward")


class FixedWeights(Weighting):
    """Weights that stay.

    Args:
        weights: by task, finite and at least 0; 1 for those that are not named.

    >>> weighting = FixedWeights({"speech": 0.5})
    >>> weighting.build(["speech", "summary"])
    >>> weighting({"speech": torch.tensor(4.0), "summary": torch.tensor(1.0)}, [])
    {'speech': tensor(2.), 'summary': tensor(1.)}
    """

    def __init__(self, weights: dict[str, float] | None = None) -> None:
        super().__init__()
        if not all(0 <= weight < math.inf for weight in (weights or {}).values()):
            raise ValueError(f"weights {weights} must be finite and at least 0")
        self.weights = weights

    def build(self, names: Sequence[str]) -> None:
        """Check the names.

        Raises:
            UserError: a weight is of no task.
        """
        if unknown := sorted(set(self.weights or {}) - set(names)):
            tasks = ", ".join(sorted(names))
            raise UserError(f"model.weighting has a weight of {unknown[0]!r}; the tasks are {tasks}: name one of them")

    def forward(self, losses: dict[str, Tensor], shared: Sequence[nn.Parameter]) -> dict[str, Tensor]:
        """Each times its weight."""
        return {name: (self.weights or {}).get(name, 1.0) * loss for name, loss in losses.items()}


class UncertaintyWeights(Weighting):
    """exp(-s) * loss + s, with s learned for each task: its log variance (Kendall et al. 2018, without their halves).

    >>> weighting = UncertaintyWeights()
    >>> weighting.build(["speech"])
    >>> weighting({"speech": torch.tensor(4.0)}, [])["speech"].item()
    4.0
    """

    def build(self, names: Sequence[str]) -> None:
        """A log variance (1,) of 0 for each task."""
        self.log_variance = nn.ParameterDict({name: nn.Parameter(torch.zeros(1)) for name in names})

    def forward(self, losses: dict[str, Tensor], shared: Sequence[nn.Parameter]) -> dict[str, Tensor]:
        """Weighted by what has been learned."""
        return {n: ((-self.log_variance[n]).exp() * loss + self.log_variance[n]).sum() for n, loss in losses.items()}


class EqualGradients(Weighting):
    """Weights under which every task's gradient on the shared weights is equally long.

    The aim of GradNorm (Chen et al. 2018) at equal rates of learning (alpha = 0), reached at once instead of learned:
    each task counts the geometric mean of all tasks' lengths over its own, both averaged over the measured steps.

    Args:
        every: steps between measurements; each costs a backward pass over the shared weights for every task.
        momentum: of the average, at least 0 and below 1.
    """

    measures_gradients = True
    lengths: Tensor
    seen: Tensor

    def __init__(self, every: int = 10, *, momentum: float = 0.9) -> None:
        super().__init__()
        if every < 1:
            raise ValueError(f"every {every} must be at least 1 step")
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum {momentum} must be at least 0 and below 1")
        self.every = every
        self.momentum = momentum

    def build(self, names: Sequence[str]) -> None:
        """Nothing measured yet: a length of 0."""
        self.names = list(names)
        self.register_buffer("lengths", torch.zeros(len(names)))
        self.register_buffer("seen", torch.zeros(len(names), dtype=torch.long))

    def forward(self, losses: dict[str, Tensor], shared: Sequence[nn.Parameter]) -> dict[str, Tensor]:
        """Measure now and then, and weigh. In evaluation nothing is measured."""
        if self.training and torch.is_grad_enabled():
            self._measure({name: loss for name, loss in losses.items() if self._due(name)}, shared)
        weights = self._weights()
        return {name: weights[self.names.index(name)] * loss for name, loss in losses.items()}

    def _due(self, name: str) -> bool:
        """Counts the steps of each task."""
        index = self.names.index(name)
        self.seen[index] += 1
        return bool((self.seen[index] - 1) % self.every == 0)

    def _measure(self, losses: dict[str, Tensor], shared: Sequence[nn.Parameter]) -> None:
        for name, gradient in shared_gradients(losses, shared).items():
            index, length = self.names.index(name), gradient.norm()
            first = self.lengths[index] == 0
            self.lengths[index] = torch.where(first, length, length.lerp(self.lengths[index], self.momentum))

    def _weights(self) -> Tensor:
        """(tasks,); 1 for a task that was never measured."""
        known = self.lengths > 0
        logs = self.lengths.clamp(min=torch.finfo(torch.float32).tiny).log()
        mean = logs[known].mean() if known.any() else logs.new_zeros(())
        return torch.where(known, (mean - logs).exp(), torch.ones_like(logs))
