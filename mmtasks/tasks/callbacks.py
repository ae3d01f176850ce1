"""What happens around training: cached features, a stop that loses nothing."""

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from mmtasks.data.base import TaskData
from mmtasks.errors import Interrupted, UserError
from mmtasks.tasks.base import TaskModule


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

    Args:
        folder: where the checkpoint goes; by default ``checkpoints`` in the run's folder.
    """

    def __init__(self, folder: str | None = None) -> None:
        self.folder = folder
        self._asked = False
        self._previous: dict[int, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Listen to the signals."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._previous[number] = signal.signal(number, self._ask)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give the signals back."""
        self._restore()

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Stop here if asked; all processes agree.

        Raises:
            Interrupted: the checkpoint is written.
        """
        if not trainer.strategy.reduce_boolean_decision(self._asked, all=False):
            return
        run = Path(trainer.default_root_dir)
        path = Path(self.folder or run / "checkpoints") / "interrupted.ckpt"
        trainer.save_checkpoint(path)
        go_on = f"mmtasks fit --config {run / 'config.yaml'} --ckpt_path {path}"
        raise Interrupted(f"stopped at step {trainer.global_step}; go on with: {go_on}")

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the signals back."""
        self._restore()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self._asked:
            self._restore()
            raise KeyboardInterrupt
        self._asked = True
        print("\nstopping after this step; once more to end at once", file=sys.stderr)

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
