"""Video summarization: how important each step of a video is."""

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmtasks.heads.frame_scorer import FrameScorer
from mmtasks.layers import masked_mean
from mmtasks.losses.summary import correlation, ranking, regression, unlikeness, unsupervised
from mmtasks.metrics.summary import SummaryScores
from mmtasks.metrics.summary.selection import check_worth
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Facts, Fuse, Tokens

LOSSES = ("regression", "correlation", "ranking", "unsupervised")


class SummaryOutput(NamedTuple):
    """What each step of B videos is worth. logits, scores (in [0, 1]), mask: (B, T); x: (B, T, D) before fusion."""

    logits: Tensor
    scores: Tensor
    mask: Tensor
    x: Tensor


class SummaryScoring(Objective):
    """A frame scorer over the tokens of ``video``, after fusion with all that the backbone encodes.

    Args:
        weights: of each loss, by name: ``regression`` and ``correlation`` to the truth, ``ranking`` of pairs of steps,
            ``unsupervised`` for videos that nobody judged; None for regression alone.
        smooth: deviation of the Gaussian over which scores are averaged, in steps: people judge moments, not frames.
        dropout: in the scorer, in [0, 1).
        budget: of a summary, as a share of the video's length; above 0, at most 1.
        worth: of a shot, when a summary is chosen: the ``sum`` of its frames' scores, or their ``mean``.
    """

    def __init__(
        self,
        weights: dict[str, float] | None = None,
        *,
        smooth: float = 0.0,
        dropout: float = 0.0,
        budget: float = 0.15,
        worth: str = "sum",
    ) -> None:
        super().__init__()
        weights = {"regression": 1.0} if weights is None else dict(weights)
        if not weights or set(weights) - set(LOSSES):
            raise ValueError(f"weights of {sorted(weights)}: give some of {', '.join(LOSSES)}")
        if smooth < 0:
            raise ValueError(f"smooth {smooth} must be at least 0 steps")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        if not 0 < budget <= 1:
            raise ValueError(f"budget {budget} must be above 0 and at most 1")
        self.weights = weights
        self.smooth = smooth
        self.dropout = dropout
        self.budget = budget
        self.worth = check_worth(worth)

    def build(self, dim: int, facts: Facts) -> None:
        """Make the scorer."""
        self.head = FrameScorer(dim, smooth=self.smooth, dropout=self.dropout)

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> SummaryOutput:
        """Fuse, then a score for each step of the video, of however many places."""
        fused = fuse(tokens)
        span = fused.spans["video"]
        steps = (batch.inputs["video"].mask.shape[1], -1)
        mask = fused.mask[:, span].unflatten(1, steps)  # [B, T, P]
        logits = self.head(fused.x[:, span].unflatten(1, steps), mask)
        x = masked_mean(tokens["video"].x.unflatten(1, steps).flatten(0, 1), mask.flatten(0, 1))
        return SummaryOutput(logits, torch.sigmoid(logits), mask.any(dim=2), x.unflatten(0, mask.shape[:2]))

    def losses(self, output: SummaryOutput, batch: Batch) -> dict[str, Tensor]:
        """Those asked for, times their weight. Target ``importance`` (B, T), where ``judged`` (B, T)."""
        target, judged = batch.target["importance"], batch.target["judged"] & output.mask
        compute = {
            "regression": lambda: regression(output.scores, target, judged),
            "correlation": lambda: correlation(output.scores, target, judged),
            "ranking": lambda: ranking(output.logits, target, judged),
            "unsupervised": lambda: unsupervised(output.logits, output.x, output.mask, budget=self.budget),
        }
        return {name: weight * compute[name]() for name, weight in self.weights.items()}

    def metrics(self) -> SummaryScores:
        """Correlations with people and F-scores of the summary, over a whole set."""
        return SummaryScores(ratio=self.budget, worth=self.worth)

    def update_metrics(self, metrics: SummaryScores, output: SummaryOutput, batch: Batch) -> None:
        """Add the videos of a batch: those that people judged with their steps in the order of time, the others with
        their unsupervised loss, where it is among those that are trained by.
        """
        ids, scores, annotations, unjudged = [], [], [], []
        for row, annotation in enumerate(batch.target["annotation"]):
            if not annotation.has_people:
                unjudged.append(row)
                continue
            ids.append(batch.ids[row])
            order = np.argsort(annotation.picks, kind="stable")
            real = output.scores[row, output.mask[row]].detach().float().cpu().numpy()
            scores.append(real[order])
            annotations.append(annotation._replace(picks=annotation.picks[order]))
        metrics.update(ids, scores, annotations)
        if unjudged and "unsupervised" in self.weights:
            logits, x, mask = (value[unjudged] for value in (output.logits, output.x, output.mask))
            losses = unlikeness(logits.detach().float(), x, mask, budget=self.budget)
            metrics.update_unjudged([batch.ids[row] for row in unjudged], losses.tolist())

    def compute_metrics(self, metrics: Any, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        """``tau``, ``rho`` and the F-scores, and ``unsupervised`` of what nobody judged, see ``SummaryScores``."""
        figures: dict[str, Tensor] = metrics.compute()
        return figures
