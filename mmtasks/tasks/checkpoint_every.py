"""A kill that gives no warning loses a few steps, not an epoch."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from mmtasks.tasks.step_boundary import at_step_boundary, pause_follows


class CheckpointEvery(Callback):
    """Write ``last.ckpt`` every so many optimizer steps; where validation or the epoch's end comes next, after it.

    Lightning's ModelCheckpoint writes before validation, which a resumed run then leaves out, and after a resume also
    between the batches of one accumulated step.

    Args:
        steps: optimizer steps between two checkpoints.
        folder: where the checkpoint goes; by default ``checkpoints`` in the run's folder.
    """

    def __init__(self, steps: int = 500, *, folder: str | None = None) -> None:
        if steps < 1:
            raise ValueError(f"steps {steps} must be at least 1")
        self.steps = steps
        self.folder = folder
        self._saved = 0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What the run goes on from need not be written again."""
        self._saved = trainer.global_step

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        """Where nothing else comes between this step and the next."""
        if at_step_boundary(trainer) and not pause_follows(trainer):
            self._save(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After a validation within an epoch; its end writes otherwise."""
        if trainer.state.fn == "fit" and not (trainer.sanity_checking or trainer.is_last_batch):
            self._save(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """After the epoch's validation."""
        self._save(trainer)

    def _save(self, trainer: Trainer) -> None:
        """If a multiple of ``steps`` was passed since the last time."""
        if trainer.global_step // self.steps == self._saved // self.steps:
            return
        self._saved = trainer.global_step
        folder = Path(self.folder or Path(trainer.default_root_dir) / "checkpoints")
        trainer.save_checkpoint(folder / "last.ckpt", weights_only=False)
