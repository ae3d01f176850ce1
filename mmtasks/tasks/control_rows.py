"""Beside the figures of a test of video summarization, those that a model must be compared with."""

import math

from lightning import Callback, LightningModule, Trainer

from mmtasks.data.summary import SummaryDataModule
from mmtasks.metrics.summary import average, controls, figures, per_frame_mlp
from mmtasks.objectives.summary import SummaryScoring
from mmtasks.tasks.base import TaskModule

Rows = dict[str, dict[str, float]]
DRAWN, DRAWS = 200, 20
"""Random scores: so many over all videos, and at most so many of each. Comparing more takes longer than the test."""


class ControlRows(Callback):
    """Log what random scores, a uniform summary, a per-frame MLP and people themselves reach on the test videos.

    ``test/tau_random``, ``test/f_mean_humans`` and so on: a model's figures mean something beside them only. ``mlp``
    learns from the same training videos, in seconds; it is left out where nobody judged them.
    """

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Equal in every process, of all test videos."""
        if not isinstance(pl_module, TaskModule):
            return
        for task, objective in pl_module.objectives.items():
            if isinstance(objective, SummaryScoring):
                data: SummaryDataModule = trainer.datamodule.task(task)  # type: ignore[attr-defined]
                found = _control_rows(data, objective)
                pl_module.log_dict(
                    {
                        pl_module.figure("test", task, f"{name}_{row}"): value
                        for row in found
                        for name, value in found[row].items()
                    }
                )


def _control_rows(data: SummaryDataModule, objective: SummaryScoring) -> Rows:
    """The figures of every control, by its name; none where nobody judged the test videos."""
    judged = [row for row in data.datasets["test"].rows if row.annotation.has_people]
    if not judged:
        return {}
    draws = min(DRAWS, math.ceil(DRAWN / len(judged)))
    found = controls([row.annotation for row in judged], draws=draws, ratio=objective.budget, worth=objective.worth)
    learned = [row for row in data.datasets["train"].rows if row.target is not None]
    if learned:
        targets = [row.target for row in learned if row.target is not None]
        scores = per_frame_mlp((row.load() for row in learned), targets, (row.load() for row in judged), seed=data.seed)
        found["mlp"] = average(
            figures(given, row.annotation, ratio=objective.budget, worth=objective.worth)
            for given, row in zip(scores, judged, strict=True)
        )
    return found
