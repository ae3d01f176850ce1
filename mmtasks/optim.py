"""AdamW with the usual groups, and warm-up followed by a cosine."""

import math

import torch
from torch import nn

from mmtasks.configured import Configured


class AdamWCosine(Configured):
    """AdamW (Loshchilov & Hutter 2019); linear warm-up, then a cosine to zero at the last step.

    Args:
        lr: the highest learning rate.
        weight_decay: on matrices only; biases, norms and embeddings of one dimension get none.
        warmup: share of all steps, 0–1.
        lr_scale: factors on lr for weights whose name starts with the key, e.g. ``backbone.encoders.text: 0.1``.
        betas: decay of the two moments.
    """

    def __init__(
        self,
        lr: float = 1e-3,
        weight_decay: float = 0.05,
        *,
        warmup: float = 0.1,
        lr_scale: dict[str, float] | None = None,
        betas: tuple[float, float] = (0.9, 0.98),
    ) -> None:
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.lr_scale = lr_scale
        self.betas = betas

    def optimizer(self, module: nn.Module, *, fused: bool = True) -> torch.optim.Optimizer:
        """The optimizer over the module's trainable weights. fused: one kernel for all of a step, which is quickest."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, weight in module.named_parameters():
            if weight.requires_grad:
                scale = next((s for prefix, s in (self.lr_scale or {}).items() if name.startswith(prefix)), 1.0)
                decay = self.weight_decay if weight.ndim > 1 else 0.0
                groups.setdefault((self.lr * scale, decay), []).append(weight)
        parameters = [{"params": p, "lr": lr, "weight_decay": decay} for (lr, decay), p in groups.items()]
        return torch.optim.AdamW(parameters, lr=self.lr, betas=self.betas, fused=fused)

    def scheduler(self, optimizer: torch.optim.Optimizer, total_steps: int) -> torch.optim.lr_scheduler.LambdaLR:
        """The schedule, advanced once a step; ``total_steps`` may be large when unknown."""
        warm = max(1, int(self.warmup * total_steps))

        def factor(step: int) -> float:
            if step < warm:
                return (step + 1) / warm
            return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total_steps - warm))))

        return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
