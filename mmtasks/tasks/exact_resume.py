"""A resumed run does what the stopped one would have done: what Lightning leaves out of that."""

from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

from mmtasks.distributed import gather_objects
from mmtasks.tasks.agreement import check_workers, workers
from mmtasks.tasks.random_states import State, random_state, set_random_state


class ExactResume(Callback):
    """Keep the random states of every process in each checkpoint, and go on from them.

    Validation leaves them as they were, so that it does not matter to the weights how often it runs.
    """

    def __init__(self) -> None:
        self._loaded: list[State] | None = None
        self._before_validation: State | None = None
        self._max_steps = -1

    def state_dict(self) -> dict[str, Any]:
        """Every process must call."""
        return {"processes": gather_objects(random_state())}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remembered until the loop starts: making the model and its loaders draws numbers too."""
        self._loaded = state_dict["processes"]

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """How many workers the loaders have."""
        checkpoint["workers"] = workers(getattr(trainer, "datamodule", None))

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take the epoch for ended where its last batch was: Lightning would begin the next one on a spent loader."""
        if trainer.state.fn == TrainerFn.FITTING:
            check_workers(checkpoint.get("workers", {}), workers(getattr(trainer, "datamodule", None)))
        _end_epoch(checkpoint["loops"]["fit_loop"])

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Hide ``max_steps`` while the loops are restored: with it, Lightning takes an ended epoch for an open one."""
        if trainer.ckpt_path:
            self._max_steps = trainer.max_steps
            trainer.fit_loop.epoch_loop.max_steps = -1

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Go on where the checkpoint was written."""
        if not trainer.ckpt_path:
            return
        trainer.fit_loop.epoch_loop.max_steps = self._max_steps
        for callback in trainer.checkpoint_callbacks:
            if isinstance(callback, ModelCheckpoint):  # or it writes once more, in the middle of accumulated batches
                callback._last_global_step_saved = trainer.global_step
        if self._loaded is not None:
            self._restore(self._loaded, trainer)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before its first batch."""
        self._before_validation = random_state()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Whatever it drew."""
        if self._before_validation is not None:
            set_random_state(self._before_validation)

    def _restore(self, states: list[State], trainer: Trainer) -> None:
        if len(states) == trainer.world_size:
            set_random_state(states[trainer.global_rank])
        else:
            numbers = f"{len(states)} process(es), not {trainer.world_size}"
            rank_zero_warn(f"the checkpoint is of {numbers}: from here on, batches and dropout differ")


def _end_epoch(loops: dict[str, Any]) -> None:
    """Change the progress written after an epoch's last step to that written at the epoch's end."""
    epochs, batches = loops["epoch_progress"], loops["epoch_loop.batch_progress"]
    within_step = batches["total"]["completed"] == batches["total"]["processed"] - 1
    if not (batches["is_last_batch"] and within_step):
        return
    for count in ("total", "current"):
        batches[count]["completed"] += 1
        epochs[count]["processed"] += 1
    loops["epoch_loop.state_dict"]["_batches_that_stepped"] += 1
