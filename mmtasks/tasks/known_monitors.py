"""A figure that is watched but not there is told in a line."""

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn

from mmtasks.errors import UserError


class KnownMonitors(Callback):
    """Where another callback monitors a figure of validation that there is none of, say which there are."""

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Before checkpoints are chosen, which Lightning leaves to the last.

        Raises:
            UserError: a monitor names no figure; those of ``train/`` may come later.
        """
        if trainer.state.fn != TrainerFn.FITTING or trainer.sanity_checking:  # type: ignore[attr-defined]
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            monitor = getattr(callback, "monitor", None)
            if monitor and not monitor.startswith("train/") and monitor not in trainer.callback_metrics:
                there = sorted(name for name in trainer.callback_metrics if name.startswith("val/"))
                raise UserError(
                    f"{type(callback).__name__} monitors {monitor!r}, which validation does not give; "
                    f"it gives {', '.join(there) or 'no figure'}"
                )
