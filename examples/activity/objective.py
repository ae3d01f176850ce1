"""Which of several descriptions fits what the sensor measured."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from mmtasks.distributed import global_mean
from mmtasks.errors import UserError
from mmtasks.heads.matching import MatchingHead
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Facts, Fuse, Tokens


class RecognitionOutput(NamedTuple):
    """scores: (B, C), how well each of its C descriptions fits a window; only their differences mean something."""

    scores: Tensor


class ActivityRecognition(Objective):
    """Each window is fused with each of its descriptions, and a matching head scores the pair.

    An activity is known by its words alone, so the descriptions to choose from may change from window to window.

    Args:
        compare: let the head compare window and description, see ``MatchingHead``.
        dropout: in the head, in [0, 1).
    """

    def __init__(self, *, compare: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        self.compare = compare
        self.dropout = dropout

    def build(self, dim: int, facts: Facts) -> None:
        """Make the head.

        Raises:
            UserError: the data bring no motion.
        """
        if "motion" not in facts:
            raise UserError(f"activities need the modality motion; the data bring {', '.join(sorted(facts))}")
        self.head = MatchingHead(dim, 1, compare=self.compare, dropout=self.dropout)

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> RecognitionOutput:
        """Tokens ``motion`` of B windows and ``text`` of B * C descriptions, a window's C one after the other."""
        motion, text = tokens["motion"], tokens["text"]
        windows, count = len(motion.x), len(text.x) // len(motion.x)
        pairs = {"motion": Tokens(*(part.repeat_interleave(count, dim=0) for part in motion)), "text": text}
        return RecognitionOutput(self.head(fuse(pairs)).view(windows, count))

    def losses(self, output: RecognitionOutput, batch: Batch) -> dict[str, Tensor]:
        """Cross entropy of the right description, target ``answer`` (B,), over the global batch."""
        terms = F.cross_entropy(output.scores, batch.target["answer"], reduction="none")
        return {"recognition": global_mean(terms.sum(), len(terms))}

    def metrics(self) -> "Recognised":
        """Counts of right answers."""
        return Recognised()

    def update_metrics(self, metrics: "Recognised", output: RecognitionOutput, batch: Batch) -> None:
        """Add one batch."""
        metrics.update(output.scores, batch.target["answer"], batch.target["trained"])

    def compute_metrics(self, metrics: Any, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        """``accuracy`` of activities that were trained on, ``accuracy_new`` of others, if there are any."""
        figures: dict[str, Tensor] = metrics.compute()
        return figures


class Recognised(Metric):
    """The share of windows whose right description scores highest, of trained and of new activities apart."""

    right: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("right", "total"):
            self.add_state(name, default=torch.zeros(2, dtype=torch.long), dist_reduce_fx="sum")

    def update(self, scores: Tensor, answer: Tensor, trained: Tensor) -> None:
        """Scores (B, C); answer (B,); trained (B,) bool: the activity was trained on."""
        right = scores.argmax(dim=1) == answer
        for place, chosen in enumerate((trained, ~trained)):
            self.right[place] += (right & chosen).sum()
            self.total[place] += chosen.sum()

    def compute(self) -> dict[str, Tensor]:
        """Figures in 0–1, of what there was."""
        shares = self.right / self.total.clamp(min=1)
        named = zip(("accuracy", "accuracy_new"), shares, self.total, strict=True)
        return {name: share for name, share, total in named if total}
