"""The figures of a set of videos, exact whatever the number of processes and the size of batches."""

import json
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torchmetrics import Metric

from mmtasks.metrics.summary.figures import FIGURES, average, figures
from mmtasks.metrics.summary.selection import RATIO, check_ratio, check_worth
from mmtasks.types import Annotation

UNSUPERVISED = "unsupervised"
"""What stands in the place of figures for videos that nobody judged."""


class SummaryScores(Metric):
    """Figures of every video, each counted once by its id, also where a sampler gave it to several processes.

    ``videos`` keeps the figures by id, in order of ids, from which ``compute`` last averaged.

    Args:
        ratio: share of a video that the summary behind the F-scores may last, above 0 and at most 1.
        worth: what a shot counts for when it is chosen, ``mean`` or ``sum``, see ``select``.

    >>> video = Annotation(np.arange(3), 3, 1.0, np.array([[0, 2]]), user_scores=np.array([[1, 2, 3], [1, 3, 2]]))
    >>> scores = SummaryScores()
    >>> scores.update(["a"], [np.array([0.2, 0.4, 0.9])], [video])
    >>> {name: round(float(value), 2) for name, value in scores.compute().items()}
    {'tau': 0.67, 'rho': 0.75, 'tau_of_mean': 0.82, 'rho_of_mean': 0.87}
    """

    full_state_update = False
    records: list[Tensor] | Tensor

    def __init__(self, *, ratio: float = RATIO, worth: str = "mean") -> None:
        super().__init__()
        self.ratio = check_ratio(ratio)
        self.worth = check_worth(worth)
        self.videos: dict[str, dict[str, float]] = {}
        # lines of JSON, as bytes: they carry names and exact figures through any gather
        self.add_state("records", default=[], dist_reduce_fx="cat")

    @property
    def dtype(self) -> torch.dtype:
        """That of the records: a process without videos gathers an empty tensor of it."""
        return torch.uint8

    def update(
        self, ids: Sequence[str], scores: Sequence[np.ndarray | Tensor], annotations: Sequence[Annotation]
    ) -> None:
        """Add videos.

        Args:
            ids: of the videos.
            scores: of each video (T,), one a pick, without padding.
            annotations: what people said of each.

        Raises:
            ValueError: not as many of each, or scores that do not fit their video, which is named.
        """
        if not len(ids) == len(scores) == len(annotations):
            raise ValueError(f"{len(ids)} ids, {len(scores)} scores, {len(annotations)} annotations must be as many")
        for name, given, video in zip(ids, scores, annotations, strict=True):
            try:
                found = figures(_array(given), video, ratio=self.ratio, worth=self.worth)
            except ValueError as error:
                raise ValueError(f"video {name}: {error}") from error
            self._add(name, found)

    def update_unjudged(self, ids: Sequence[str], losses: Sequence[float]) -> None:
        """Add videos that nobody judged, with their unsupervised losses."""
        for name, loss in zip(ids, losses, strict=True):
            self._add(name, {UNSUPERVISED: loss})

    def compute(self) -> dict[str, Tensor]:
        """The figures averaged over videos, by the names of ``FIGURES``, and ``unsupervised`` over those that nobody
        judged; those that no video has are left out.
        """
        gathered = [self.records] if isinstance(self.records, Tensor) else self.records
        lines = b"".join(bytes(record.tolist()) for record in gathered).splitlines()
        # ordered, so that the same record of a video counts if padding to other lengths has rounded one otherwise
        found = dict(json.loads(line) for line in sorted(lines))
        self.videos = {name: found[name] for name in sorted(found)}
        averages = average(self.videos.values(), (*FIGURES, UNSUPERVISED))
        return {name: torch.tensor(value, dtype=torch.float64) for name, value in averages.items()}

    def reset(self) -> None:
        """Forget all videos."""
        super().reset()
        self.videos = {}

    def _add(self, name: str, found: dict[str, float]) -> None:
        line = json.dumps([name, found]) + "\n"
        self.records.append(torch.tensor(list(line.encode()), dtype=torch.uint8, device=self.device))


def _array(scores: np.ndarray | Tensor) -> np.ndarray:
    return scores.detach().cpu().double().numpy() if isinstance(scores, Tensor) else scores
