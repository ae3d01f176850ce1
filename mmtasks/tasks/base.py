"""The LightningModule around a backbone and its objectives."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import torch
from lightning import LightningModule
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn

from mmtasks.backbone import Backbone
from mmtasks.checkpoint import read_checkpoint
from mmtasks.config import describe, instantiate
from mmtasks.data.base import TaskData
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.losses.gradients import cosines, shared_gradients
from mmtasks.losses.weighting import FixedWeights, Weighting
from mmtasks.names import check_names
from mmtasks.objectives.base import Objective
from mmtasks.optim import AdamWCosine
from mmtasks.tasks.agreement import check_conflict, check_shared, check_strategy, check_tasks, fitted_differently
from mmtasks.tasks.sharding import divide, divide_weights, gather_weights
from mmtasks.types import Batch, Facts

Step = Batch | None | Mapping[str, Batch | None]
"""What a step brings: a batch for all objectives, or one for each of some, by name. None: this process has none."""


class TaskModule(LightningModule):
    """Backbone + objectives: one objective is a single-task run, several are joint training.

    A step's batch is read by every objective, or holds a batch for each of some, by name.

    Args:
        backbone: the shared encoders and fusion.
        objectives: what is asked of it, by name.
        optimization: optimizer and schedule.
        weighting: how much each objective's loss counts; all alike by default.
        log_conflict_every: steps between two looks at whether the objectives pull the fusion the same way, logged as
            ``conflict/A|B``, the cosine of their gradients; 0 for never. Needs several objectives in a step, and a
            fusion with trained weights.
    """

    def __init__(
        self,
        backbone: Backbone,
        objectives: dict[str, Objective],
        *,
        optimization: AdamWCosine | None = None,
        weighting: Weighting | None = None,
        log_conflict_every: int = 0,
    ) -> None:
        super().__init__()
        if log_conflict_every < 0:
            raise ValueError(f"log_conflict_every {log_conflict_every} must be at least 0 steps")
        check_names("objectives", objectives)
        self.backbone = backbone
        self.objectives = nn.ModuleDict(objectives)
        self.optimization = optimization or AdamWCosine()
        self.weighting = weighting or FixedWeights()
        self.log_conflict_every = log_conflict_every
        self.stage_metrics: dict[str, dict[str, Any]] = {}
        self.facts: Facts | None = None
        self.processors: dict[str, Any] = {}
        self.start: Callable[..., str] | None = None
        """Gives a new run's backbone its first weights, told ``processors``, and says which."""

    def setup(self, stage: str) -> None:
        """Refuse a run that the model does not fit.

        Raises:
            UserError: see ``mmtasks.tasks.agreement``.
        """
        check_tasks(list(self.objectives), self._data())
        if stage == "fit":
            check_strategy(self.measuring(), self.trainer.strategy)
        if stage == "fit" and self.log_conflict_every:
            check_conflict(list(self.objectives), self._data())

    def configure_model(self) -> None:
        """Build the weights from the datamodule's facts; without a trainer, ``on_load_checkpoint`` does it."""
        if self._trainer is not None and self.facts is None:
            data: TaskData = self.trainer.datamodule  # type: ignore[attr-defined]
            self.processors = data.describe_processors()
            encoders = cast(Mapping[str, Encoder], self.backbone.encoders)
            data.use_facts(self.build(data.facts()), encoders)
            if self.start is not None:
                rank_zero_info(self.start(self.backbone, processors=self.processors))
            divide(self, self.trainer.strategy)

    def build(self, facts: Facts) -> Facts:
        """Make all weights, with the facts of the data; returns them with those of the model.

        Raises:
            UserError: gradients are to be measured on a fusion without trained weights.
        """
        self.backbone.build(facts)
        self.facts = _joined(facts, self.backbone.learned_facts())
        for objective in self.objectives.values():
            objective.build(self.backbone.dim, self.facts)
            self.facts = _joined(self.facts, objective.learned_facts())
        self.weighting.build(list(self.objectives))
        check_shared(self.measuring(), self.shared_weights())
        return self.facts

    def configure_optimizers(self) -> Any:
        """The optimizer, and its schedule over the whole run, advanced once a step."""
        mixed = "mixed" in str(self.trainer.precision)  # where lightning refuses to clip gradients of a fused optimizer
        optimizer = self.optimization.optimizer(self, fused=not mixed)
        scheduler = self.optimization.scheduler(optimizer, self._total_steps())
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": scheduler, "interval": "step"}}

    def _data(self) -> TaskData | None:
        """The datamodule of the trainer; None for loaders alone."""
        return getattr(self.trainer, "datamodule", None)

    def _total_steps(self) -> int:
        """Optimizer steps of the whole run.

        Not by ``estimated_stepping_batches``, which starts the training loader before the checkpoint of a resumed run
        has said where it stood.
        """
        trainer = self.trainer
        data = self._data()
        if data is None or trainer.max_epochs in (None, -1):
            return int(trainer.estimated_stepping_batches)
        batches, limit = len(data.train_dataloader()), trainer.limit_train_batches
        batches = int(batches * limit) if isinstance(limit, float) else min(batches, limit or batches)
        steps = math.ceil(batches / trainer.accumulate_grad_batches) * cast(int, trainer.max_epochs)
        return steps if trainer.max_steps == -1 else min(steps, trainer.max_steps)

    def training_step(self, batch: Step, batch_idx: int) -> Tensor:
        """The weighted sum of all objectives' losses; logged every ``log_every_n_steps``."""
        losses = self.losses(batch)
        if self.log_conflict_every and self.global_step % self.log_conflict_every == 0 and len(losses) > 1:
            found = cosines(shared_gradients(_sums(losses), self.shared_weights()))
            self.log_dict({f"conflict/{pair}": value for pair, value in found.items()})
        total = self.total(losses)
        if self.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            parts = {f"train/{name}/{key}": part for name, found in losses.items() for key, part in found.items()}
            self.log_dict({key: part.detach() for key, part in parts.items()}, sync_dist=True)
            self.log("train/loss", total.detach(), prog_bar=True, sync_dist=True)
        return total

    def losses(self, batch: Step) -> dict[str, dict[str, Tensor]]:
        """The parts of the loss of each objective that reads the batch."""
        return {name: self._objective(name).losses(output, part) for name, output, part in self.outputs(batch)}

    def total(self, losses: dict[str, dict[str, Tensor]]) -> Tensor:
        """What is minimised: the weighted sum."""
        return torch.stack(list(self.weighting(_sums(losses), self.shared_weights()).values())).sum()

    def outputs(self, batch: Step) -> Iterator[tuple[str, Any, Batch]]:
        """Each objective's name, output and batch. A batch for all is encoded once."""
        if isinstance(batch, Batch):
            tokens = self.backbone.encode(batch.inputs)
            for name, objective in self.objectives.items():
                yield name, objective(tokens, self.backbone.fuse, batch), batch
            return
        for name, part in (batch or {}).items():
            if part is None:
                continue
            yield name, self._objective(name)(self.backbone.encode(part.inputs), self.backbone.fuse, part), part

    def shared_weights(self) -> list[nn.Parameter]:
        """The trained weights of the fusion: what all objectives that fuse have in common."""
        return [w for w in self.backbone.fusion.parameters() if w.requires_grad] if self.backbone.fusion else []

    def measuring(self) -> list[str]:
        """The options that have each objective's gradient on the shared weights measured."""
        weighting = [type(self.weighting).__name__] if self.weighting.measures_gradients else []
        return weighting + (["log_conflict_every"] if self.log_conflict_every else [])

    def figure(self, stage: str, objective: str, name: str) -> str:
        """What a figure is logged as: ``STAGE/NAME``, with several objectives ``STAGE/OBJECTIVE/NAME``."""
        return f"{stage}/{name}" if len(self.objectives) == 1 else f"{stage}/{objective}/{name}"

    def validation_step(self, batch: Step, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Accumulate the metrics of the stage."""
        self._accumulate(batch)

    def test_step(self, batch: Step, batch_idx: int, dataloader_idx: int = 0) -> None:
        """Accumulate the metrics of the stage."""
        self._accumulate(batch)

    def on_fit_start(self) -> None:
        """Make the accumulators once, so that what they need is missed before the first step, not after the last."""
        for name in self.objectives:
            self._objective(name).metrics()

    def on_validation_epoch_start(self) -> None:
        """Fresh accumulators."""
        self._begin_metrics()

    def on_test_epoch_start(self) -> None:
        """Fresh accumulators."""
        self._begin_metrics()

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
        """Build the weights that the checkpoint is about to fill.

        Raises:
            UserError: they are there already, of config and data, and are not those of the checkpoint; or what was
                fitted to the data, as a vocabulary, is not.
        """
        if self.facts is None:
            self.processors = checkpoint["mmtasks"]["processors"]
            self.build(checkpoint["mmtasks"]["facts"])
        _check_fitted(checkpoint.get("mmtasks", {}).get("processors", {}), self.processors)
        _check_shapes(checkpoint.get("state_dict", {}), self.state_dict())

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: Any, **_: Any) -> "TaskModule":  # type: ignore[override]
        """The trained task, from its checkpoint alone."""
        checkpoint = read_checkpoint(checkpoint_path)
        module: TaskModule = instantiate(checkpoint["mmtasks"]["task"])
        module.on_load_checkpoint(checkpoint)
        module.load_state_dict(checkpoint["state_dict"])
        return module

    def _begin_metrics(self) -> None:
        gather_weights(self)
        self.stage_metrics = {name: obj.metrics().to(self.device) for name, obj in self.objectives.items()}

    def _accumulate(self, batch: Step) -> None:
        for name, output, part in self.outputs(batch):
            self._objective(name).update_metrics(self.stage_metrics[name], output, part)

    def _objective(self, name: str) -> Objective:
        if name not in self.objectives:
            known = ", ".join(self.objectives)
            raise UserError(f"the data has a task {name!r}, the model has objectives {known}: give both the same names")
        return cast(Objective, self.objectives[name])

    def _log_metrics(self, stage: str, *, full: bool) -> None:
        for name, objective in self.objectives.items():
            if self.trainer.sanity_checking:
                continue
            figures = objective.compute_metrics(self.stage_metrics[name], self.backbone.fuse, full=full)
            self.log_dict({self.figure(stage, name, key): value.float() for key, value in figures.items()})
        divide_weights(self)


def _check_fitted(saved: Mapping[str, Any], own: Mapping[str, Any]) -> None:
    """UserError unless what a checkpoint's processors were fitted to is what the data's are: weights may fit both."""
    if others := fitted_differently(saved, own):
        raise UserError(
            f"{others[0]}: the vocabulary that the training data give is not the one that the checkpoint was trained "
            "with; give the training data and the tokenizer of that run"
        )


def _check_shapes(saved: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """UserError unless a checkpoint's weights, where it holds them itself, are the model's."""
    there, here = ({name: tuple(weight.shape) for name, weight in weights.items()} for weights in (saved, own))
    if not there or there == here:
        return
    name = min(name for name in {*there, *here} if there.get(name) != here.get(name))
    raise UserError(
        f"the checkpoint is not of the model that config and data make: {name} is {there.get(name, 'missing')} in it "
        f"and {here.get(name, 'missing')} here; give the config and the kind of data that it was trained with"
    )


def _sums(losses: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
    """The loss of each objective."""
    return {name: torch.stack(list(parts.values())).sum() for name, parts in losses.items()}


def _joined(facts: Facts, learned: Facts) -> Facts:
    """The facts with what was learned of each name beside them."""
    return {name: {**facts.get(name, {}), **learned.get(name, {})} for name in sorted({*facts, *learned})}
