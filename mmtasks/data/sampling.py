"""Which tasks a step of joint training learns from."""

import math

import torch

from mmtasks.errors import UserError

Sizes = dict[str, int]
"""Batches in one pass over each task's training data, by the task's name."""


class Sampling:
    """Base class. Every process draws the same, from the same generator.

    ``partial`` says that a step may be without some tasks, so that some weights get no gradient from it.
    """

    partial: bool = True

    def steps(self, sizes: Sizes) -> int:
        """How many steps an epoch has, unless one says otherwise."""
        raise NotImplementedError(f"{type(self).__name__}.steps")

    def draw(self, sizes: Sizes, steps: int, generator: torch.Generator) -> list[list[str]]:
        """The tasks of each of ``steps`` steps."""
        raise NotImplementedError(f"{type(self).__name__}.draw")


class EveryTask(Sampling):
    """Every task in every step: each step touches all weights. The longest task's pass is an epoch.

    >>> EveryTask().draw({"a": 2, "b": 1}, 2, torch.Generator())
    [['a', 'b'], ['a', 'b']]
    """

    partial = False

    def steps(self, sizes: Sizes) -> int:
        """As many as the longest task has batches; shorter ones begin anew."""
        return max(sizes.values())

    def draw(self, sizes: Sizes, steps: int, generator: torch.Generator) -> list[list[str]]:
        """All of them, always."""
        return [list(sizes)] * steps


class OneTask(Sampling):
    """One task a step, drawn. With several processes, DDP must be told: ``configs/overlays/ddp_one_task.yaml``.

    Args:
        temperature: tasks are drawn in proportion to their number of batches to the power of 1 / temperature
            (Arivazhagan et al. 2019): 1 draws by size, ``.inf`` evenly; above 0.
        weights: of each task by name, instead of its size.

    >>> OneTask(weights={"a": 1.0, "b": 0.0}).draw({"a": 2, "b": 9}, 2, torch.Generator())
    [['a'], ['a']]
    """

    def __init__(self, temperature: float = 1.0, *, weights: dict[str, float] | None = None) -> None:
        if not temperature > 0:
            raise ValueError(f"temperature {temperature} must be above 0; 1 draws by size, .inf evenly")
        if weights is not None and not (
            all(0 <= weight < math.inf for weight in weights.values()) and any(weights.values())
        ):
            raise ValueError(f"weights {weights} must be finite and at least 0, and one of them above")
        self.temperature = temperature
        self.weights = weights

    def steps(self, sizes: Sizes) -> int:
        """As many as all tasks have batches together."""
        return sum(sizes.values())

    def draw(self, sizes: Sizes, steps: int, generator: torch.Generator) -> list[list[str]]:
        """Independent draws.

        Raises:
            UserError: the weights are of other tasks.
        """
        names = list(sizes)
        drawn = torch.multinomial(self._shares(sizes), steps, replacement=True, generator=generator)
        return [[names[index]] for index in drawn.tolist()]

    def _shares(self, sizes: Sizes) -> torch.Tensor:
        if self.weights is not None:
            if set(self.weights) != set(sizes):
                tasks, named = ", ".join(sorted(sizes)), ", ".join(sorted(self.weights))
                raise UserError(f"data.sampling has weights of {named}; the tasks are {tasks}: give one of each")
            return torch.tensor([float(self.weights[name]) for name in sizes])
        logs = torch.tensor([float(size) for size in sizes.values()]).log()
        return ((logs - logs.max()) / self.temperature).softmax(dim=0)
