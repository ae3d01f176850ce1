"""Training that ends with the weights of its best validation."""

import math
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor


class BestWeights(Callback):
    """Go back to the trained weights of the best validation before the last checkpoint is written.

    For few data, where the last weights are not the best. What is not trained is neither copied nor changed. A run that
    is made longer once it has ended goes on from its best weights, with the optimizer of the last.

    Args:
        monitor: a figure of validation.
        mode: whether it should be ``min`` or ``max``.
    """

    def __init__(self, monitor: str, *, mode: str = "min") -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode {mode!r} is neither 'min' nor 'max'")
        self.monitor = monitor
        self.mode = mode
        self.best = math.inf
        self.step = 0
        self.weights: dict[str, Tensor] = {}

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Copy the weights if they are the best so far. ``KnownMonitors`` tells of a figure that is not there."""
        figure = trainer.callback_metrics.get(self.monitor)
        if trainer.state.fn != "fit" or trainer.sanity_checking or figure is None:
            return
        value = float(figure) if self.mode == "min" else -float(figure)
        if value < self.best:
            self.best, self.step = value, trainer.global_step
            self.weights = {name: weight.detach().clone() for name, weight in _trained(pl_module)}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the last epoch, also one that ``max_steps`` cuts short, before its checkpoint."""
        steps_done = trainer.max_steps != -1 and trainer.global_step >= trainer.max_steps
        if trainer.should_stop or steps_done or trainer.current_epoch + 1 == trainer.max_epochs:
            self._restore(pl_module)

    def state_dict(self) -> dict[str, Any]:
        """For a run that goes on."""
        return {"best": self.best, "step": self.step, "weights": self.weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As it was."""
        self.best, self.step, self.weights = state_dict["best"], state_dict["step"], state_dict["weights"]

    @torch.no_grad()
    def _restore(self, module: LightningModule) -> None:
        for name, weight in _trained(module):
            if name in self.weights:
                weight.copy_(self.weights[name])


def _trained(module: LightningModule) -> list[tuple[str, torch.nn.Parameter]]:
    return [(name, weight) for name, weight in module.named_parameters() if weight.requires_grad]
