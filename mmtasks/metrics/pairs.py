"""How well a matching head tells labelled pairs apart."""

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.functional.classification import binary_auroc

from mmtasks.metrics.gather import gather_uneven


class LabelledPairs(Metric):
    """Accuracy over K classes, and the area under the curve of one class against the rest, over a whole set.

    Args:
        match_class: the class whose score ranks the pairs.
    """

    full_state_update = False
    scores: list[Tensor]
    predicted: list[Tensor]
    labels: list[Tensor]

    def __init__(self, match_class: int = 1) -> None:
        super().__init__(dist_sync_fn=gather_uneven)
        self.match_class = match_class
        for name in ("scores", "predicted", "labels"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, scores: Tensor, logits: Tensor, labels: Tensor) -> None:
        """Add log odds of a match (B,), class scores (B, K) and true classes (B,)."""
        self.scores.append(scores)
        self.predicted.append(logits.argmax(dim=1))
        self.labels.append(labels)

    def compute(self) -> dict[str, Tensor]:
        """``match_accuracy`` and ``match_auc``, both 0–1."""
        scores, predicted, labels = (_joined(value) for value in (self.scores, self.predicted, self.labels))
        truth = (labels == self.match_class).long()
        return {
            "match_accuracy": (predicted == labels).float().mean(),
            "match_auc": area_under_curve(scores, truth),
        }


def area_under_curve(scores: Tensor, truth: Tensor) -> Tensor:
    """The area under the ROC curve of log odds (P,) for truth (P,) 0 or 1.

    By their ranks, for torchmetrics takes the sigmoid of scores, which makes a tie of 20 and 30.

    >>> area_under_curve(torch.tensor([20.0, 30.0]), torch.tensor([0, 1])).item()
    1.0
    """
    ranks = scores.float().unique(return_inverse=True)[1]
    return binary_auroc(ranks / len(ranks), truth)


def _joined(value: list[Tensor] | Tensor) -> Tensor:
    return torch.cat(value) if isinstance(value, list) else value
