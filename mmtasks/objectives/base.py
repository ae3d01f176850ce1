"""An objective: what a task asks of the backbone. Head, losses, metrics, decoding; no trainer, no backbone inside."""

from typing import Any

from torch import Tensor, nn
from torchmetrics import Metric

from mmtasks.types import Batch, Facts, Fuse, Tokens


class Objective(nn.Module):
    """Base class. Constructors store their arguments under the same names; ``build`` makes the weights."""

    def build(self, dim: int, facts: Facts) -> None:
        """Make the weights for tokens of width ``dim``, with the facts of all modalities."""
        raise NotImplementedError(f"{type(self).__name__}.build")

    def learned_facts(self) -> Facts:
        """Plain values that ``build`` needs to make the same weights again without the original files."""
        return {}

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> Any:
        """Tokens before fusion and the fusion itself (an objective may fuse other pairs than the given) -> output."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def losses(self, output: Any, batch: Batch) -> dict[str, Tensor]:
        """Weighted scalars by name; their sum is what is minimised."""
        raise NotImplementedError(f"{type(self).__name__}.losses")

    def metrics(self) -> Metric:
        """A fresh accumulator over a whole set; one per stage."""
        raise NotImplementedError(f"{type(self).__name__}.metrics")

    def update_metrics(self, metrics: Any, output: Any, batch: Batch) -> None:
        """Add one batch to the accumulator."""
        raise NotImplementedError(f"{type(self).__name__}.update_metrics")

    def compute_metrics(self, metrics: Any, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        """The figures of the whole set. ``full`` also computes what is too slow for every validation."""
        raise NotImplementedError(f"{type(self).__name__}.compute_metrics")
