"""Where a checkpoint resumes exactly: after an optimizer step, and not just before what follows an epoch."""

from lightning import Trainer


def at_step_boundary(trainer: Trainer) -> bool:
    """Whether the batch that ends now ended with an optimizer step: gradients that still accumulate are not saved."""
    return not trainer.fit_loop._should_accumulate()


def pause_follows(trainer: Trainer) -> bool:
    """Whether validation, or the end of the epoch or of training, comes after the batch that ends now.

    A run that goes on from a checkpoint written here skips it: same weights, but figures and later checkpoints miss.
    """
    loop = trainer.fit_loop.epoch_loop
    fetcher = trainer.fit_loop._data_fetcher
    return loop._is_training_done or trainer.should_stop or (fetcher is not None and loop._should_check_val_fx(fetcher))


def training_ends(trainer: Trainer) -> bool:
    """Whether the batch that ends now is the last of all."""
    last_epoch = trainer.max_epochs not in (None, -1) and trainer.current_epoch + 1 == trainer.max_epochs
    return (last_epoch and trainer.is_last_batch) or trainer.global_step == trainer.max_steps
