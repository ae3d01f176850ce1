"""What happens around training: cached features, a stop that loses nothing."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from mmtasks.data.base import TaskData
from mmtasks.errors import Interrupted, UserError
from mmtasks.tasks import slurm
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.step_boundary import at_step_boundary, pause_follows, training_ends
from mmtasks.tasks.whole_checkpoints import SAVED, newest, unwritten


class FeatureCaching(Callback):
    """Run frozen encoders once over the data before the loop starts, when the datamodule has a ``feature_cache``."""

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before training."""
        self._cache(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before a validation of its own, not one within training."""
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._cache(trainer, pl_module)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before a test."""
        self._cache(trainer, pl_module)

    def _cache(self, trainer: Trainer, pl_module: LightningModule) -> None:
        data: TaskData | None = trainer.datamodule  # type: ignore[attr-defined]
        if not isinstance(pl_module, TaskModule) or data is None or not data.feature_cache:
            return
        frozen = {name: encoder for name, encoder in pl_module.backbone.encoders.items() if encoder.frozen}
        if not frozen:
            raise UserError("data.feature_cache is set but no encoder is frozen: freeze one, or set it to null")
        for name, encoder in frozen.items():
            data.cache_features(name, encoder, pl_module.device)


class GracefulStop(Callback):
    """On Ctrl-C or SIGTERM, save a checkpoint at the next step and say how to go on; a second Ctrl-C ends at once.

    Where validation or the epoch's end follows that step, training stops one step after it, so that no figure is left
    out; the checkpoint is there before. In a SLURM job, SIGUSR1 does the same and has the job queued again.

    Args:
        folder: where the checkpoint goes; by default ``checkpoints`` in the run's folder.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self._asked = False
        self._requeue = False
        self._waited = False
        self._previous: dict[int, Any] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Before anything that takes long: left to itself, this signal ends the process."""
        if stage == "fit" and slurm.in_job():
            self._listen(slurm.LIMIT_NEAR, self._ask_requeue)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._listen(number, self._ask)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Stop here if asked; all processes agree.

        Raises:
            Interrupted: the checkpoint is written.
        """
        if not (at_step_boundary(trainer) and trainer.strategy.reduce_boolean_decision(self._asked, all=False)):
            return
        path = Path(self.folder or Path(trainer.default_root_dir) / "checkpoints") / "interrupted.ckpt"
        trainer.save_checkpoint(path, weights_only=False)
        if training_ends(trainer) or (pause_follows(trainer) and not self._waited):
            self._waited = True
            return
        if trainer.strategy.reduce_boolean_decision(self._requeue, all=False) and trainer.is_global_zero:
            slurm.requeue()
        raise Interrupted(f"stopped at step {trainer.global_step}; {_how_to_go_on(trainer, path)}")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _listen(self, number: int, handler: Callable[[int, FrameType | None], None]) -> None:
        self._previous[number] = signal.signal(number, handler)

    def _ask_requeue(self, number: int, frame: FrameType | None) -> None:
        self._requeue = self._asked = True

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            self._restore()
            raise KeyboardInterrupt
        self._asked = True
        print("\nstopping after this step; once more to end at once", file=sys.stderr)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}


def _how_to_go_on(trainer: Trainer, path: Path) -> str:
    """The command, with the checkpoint that could be written."""
    lost = unwritten(trainer).get(path)
    found = newest(path.parent) if lost else path
    if found is None:
        return f"{path} could not be written ({lost}) and there is no earlier one: start again"
    command = f"go on with: mmtasks fit --config {Path(trainer.default_root_dir) / SAVED} --ckpt_path {found}"
    return f"{path} could not be written ({lost}); {command}" if lost else command
