"""The LightningModule around a backbone and its objectives."""

import math
from typing import Any, cast

import torch
from lightning import LightningModule
from torch import Tensor, nn

from mmtasks.backbone import Backbone
from mmtasks.config import describe, instantiate
from mmtasks.data.base import TaskData
from mmtasks.errors import UserError
from mmtasks.objectives.base import Objective
from mmtasks.optim import AdamWCosine
from mmtasks.types import Batch, Facts


class TaskModule(LightningModule):
    """Backbone + objectives: one objective is a single-task run, several are joint training.

    Args:
        backbone: the shared encoders and fusion.
        objectives: what is asked of it, by name.
        optimization: optimizer and schedule.
    """

    def __init__(
        self, backbone: Backbone, objectives: dict[str, Objective], *, optimization: AdamWCosine | None = None
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.objectives = nn.ModuleDict(objectives)
        self.optimization = optimization or AdamWCosine()
        self.stage_metrics: dict[str, dict[str, Any]] = {}
        self.facts: Facts | None = None
        self.processors: dict[str, Any] = {}

    def configure_model(self) -> None:
        """Build the weights from the datamodule's facts; without a trainer, ``on_load_checkpoint`` does it."""
        if self._trainer is not None and self.facts is None:
            data: TaskData = self.trainer.datamodule  # type: ignore[attr-defined]
            self.processors = data.describe_processors()
            data.use_facts(self.build(data.facts()))

    def build(self, facts: Facts) -> Facts:
        """Make all weights, with the facts of the data; returns them with those of the model."""
        self.backbone.build(facts)
        self.facts = _joined(facts, self.backbone.learned_facts())
        for objective in self.objectives.values():
            objective.build(self.backbone.dim, self.facts)
            self.facts = _joined(self.facts, objective.learned_facts())
        return self.facts

    def configure_optimizers(self) -> Any:
        """The optimizer, and its schedule over the whole run, advanced once a step."""
        mixed = "mixed" in str(self.trainer.precision)  # where lightning refuses to clip gradients of a fused optimizer
        optimizer = self.optimization.optimizer(self, fused=not mixed)
        scheduler = self.optimization.scheduler(optimizer, self._total_steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _total_steps(self) -> int:
        """Optimizer steps of the whole run.

        Not by ``estimated_stepping_batches``, which starts the training loader before the checkpoint of a resumed run
        has said where it stood.
        """
        trainer = self.trainer
        data = getattr(trainer, "datamodule", None)
        if data is None or trainer.max_epochs in (None, -1):
            return int(trainer.estimated_stepping_batches)
        batches, limit = len(data.train_dataloader()), trainer.limit_train_batches
        batches = int(batches * limit) if isinstance(limit, float) else min(batches, limit or batches)
        steps = math.ceil(batches / trainer.accumulate_grad_batches) * cast(int, trainer.max_epochs)
        return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The sum of all objectives' losses; logged every ``log_every_n_steps``."""
        total, losses = self.loss(batch)
        if self.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.log_dict({f"train/{key}": value.detach() for key, value in losses.items()})
            self.log("train/loss", total.detach(), prog_bar=True)
        return total

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        """What is minimised, and its parts by ``OBJECTIVE/NAME``."""
        tokens = self.backbone.encode(batch.inputs)
        losses: dict[str, Tensor] = {}
        for name, objective in self.objectives.items():
            output = objective(tokens, self.backbone.fuse, batch)
            losses |= {f"{name}/{key}": value for key, value in objective.losses(output, batch).items()}
        return torch.stack(list(losses.values())).sum(), losses

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Accumulate the metrics of the stage."""
        self._accumulate(batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Accumulate the metrics of the stage."""
        self._accumulate(batch)

    def on_validation_epoch_start(self) -> None:
        """Fresh accumulators."""
        self._fresh_metrics()

    def on_test_epoch_start(self) -> None:
        """Fresh accumulators."""
        self._fresh_metrics()

    def on_validation_epoch_end(self) -> None:
        """Log what can be computed often."""
        self._log_metrics("val", full=False)

    def on_test_epoch_end(self) -> None:
        """Log every figure."""
        self._log_metrics("test", full=True)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Put the recipe beside the weights: plain values, so that ``weights_only=True`` loads them."""
        checkpoint["mmtasks"] = {
            "format": 1,
            "task": describe(self),
            "backbone": describe(self.backbone),
            "objectives": describe(self.objectives),
            "facts": self.facts,
            "processors": self.processors,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Build the weights that the checkpoint is about to fill."""
        if self.facts is None:
            self.processors = checkpoint["mmtasks"]["processors"]
            self.build(checkpoint["mmtasks"]["facts"])

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, **_: Any) -> "TaskModule":  # type: ignore[override]
        """The trained task, from its checkpoint alone."""
        checkpoint = torch.load(checkpoint_path, map_location="cpu", weights_only=True)
        if "mmtasks" not in checkpoint:
            raise UserError(f"{checkpoint_path}: not a checkpoint of mmtasks; give one written by `mmtasks fit`")
        module: TaskModule = instantiate(checkpoint["mmtasks"]["task"])
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
        return module

    def _fresh_metrics(self) -> None:
        self.stage_metrics = {name: obj.metrics().to(self.device) for name, obj in self.objectives.items()}

    def _accumulate(self, batch: Batch) -> None:
        tokens = self.backbone.encode(batch.inputs)
        for name, objective in self.objectives.items():
            output = objective(tokens, self.backbone.fuse, batch)
            objective.update_metrics(self.stage_metrics[name], output, batch)

    def _log_metrics(self, stage: str, *, full: bool) -> None:
        for name, objective in self.objectives.items():
            if self.trainer.sanity_checking:
                continue
            figures = objective.compute_metrics(self.stage_metrics[name], self.backbone.fuse, full=full)
            self.log_dict({f"{stage}/{key}": value.float() for key, value in figures.items()})


def _joined(facts: Facts, learned: Facts) -> Facts:
    """The facts with what was learned of each name beside them."""
    return {name: {**facts.get(name, {}), **learned.get(name, {})} for name in sorted({*facts, *learned})}
