"""Beside the figures of a test of video summarization, those that need no model."""

from lightning import Callback, LightningModule, Trainer

from mmtasks.metrics.summary import controls
from mmtasks.objectives.summary import SummaryScoring
from mmtasks.tasks.base import TaskModule


class ControlRows(Callback):
    """Log what random scores, a uniform summary and people themselves reach on the test videos.

    ``test/tau_random``, ``test/f_mean_humans`` and so on: a model's figures mean something beside them only.
    """

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Equal in every process, of all test videos."""
        if not isinstance(pl_module, TaskModule):
            return
        for task, objective in pl_module.objectives.items():
            if isinstance(objective, SummaryScoring):
                rows = trainer.datamodule.task(task).datasets["test"].rows  # type: ignore[attr-defined]
                judged = [row.annotation for row in rows if row.annotation.has_people]
                if judged:
                    found = controls(judged, ratio=objective.budget, worth=objective.worth)
                    figures = {
                        pl_module.figure("test", task, f"{name}_{row}"): value
                        for row in found
                        for name, value in found[row].items()
                    }
                    pl_module.log_dict(figures)
