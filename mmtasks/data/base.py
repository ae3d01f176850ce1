"""What a task asks of its datamodule."""

import os
import signal
from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningDataModule
from lightning.fabric.utilities.data import _set_sampler_epoch
from lightning.fabric.utilities.seed import pl_worker_init_function
from torch import nn
from torch.utils.data import DataLoader
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.text import TextProcessor
from mmtasks.encoders.base import Encoder
from mmtasks.types import Facts

Texts = tuple[TextProcessor, list[str]]
"""How the texts of a modality are prepared, and those of training, cleaned."""


class TaskData(LightningDataModule):
    """Base class of datamodules. ``feature_cache`` is a folder for the features of frozen encoders; None for none."""

    feature_cache: str | None = None

    def facts(self) -> Facts:
        """What the model must know before its weights exist; known after ``setup``."""
        raise NotImplementedError(f"{type(self).__name__}.facts")

    def describe_processors(self) -> dict[str, Any]:
        """The preparation of each modality as plain values, for the checkpoint."""
        raise NotImplementedError(f"{type(self).__name__}.describe_processors")

    def texts(self) -> dict[str, Texts]:
        """By modality, after ``setup``: what a vocabulary for several tasks is made of."""
        return {}

    def task(self, name: str) -> "TaskData":
        """The datamodule of the objective of that name: this one, which has no other."""
        return self

    def use_facts(self, facts: Facts, encoders: Mapping[str, Encoder]) -> None:
        """Take what only the built model knows, such as how many tokens a recording gives; once, before training.

        ``facts`` are all of the model, ``encoders`` those of its modalities, by name.
        """

    def cache_features(self, name: str, encoder: nn.Module, device: torch.device) -> None:
        """Serve the features of a modality's frozen encoder instead of raw samples, with ``feature_cache``."""
        raise NotImplementedError(f"{type(self).__name__}.cache_features")

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        """The batches of ``train``, ``val`` or ``test`` for this process."""
        raise NotImplementedError(f"{type(self).__name__}.loader")

    def train_dataloader(self) -> StatefulDataLoader:
        """In an order drawn by (seed, epoch)."""
        loader = _for_resume(self.loader("train", shuffle=True))
        if self.trainer:  # a run resumed at an epoch's end begins the next one's batches before it says which it is
            _set_sampler_epoch(loader, self.epochs_done())
        return loader

    def val_dataloader(self) -> DataLoader:
        """Each sample once over all processes; see ``at_least_one``."""
        return at_least_one(_for_resume(self.loader("val", shuffle=False)))

    def test_dataloader(self) -> DataLoader:
        """Each sample once over all processes; see ``at_least_one``."""
        return at_least_one(_for_resume(self.loader("test", shuffle=False)))

    def epochs_done(self) -> int:
        """Epochs of the run that were trained to their end."""
        if not self.trainer:
            return 0
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return int(progress.processed)

    def processes(self) -> tuple[int, int]:
        """How many processes train together, and which of them this is."""
        return (self.trainer.world_size, self.trainer.global_rank) if self.trainer else (1, 0)


def at_least_one(loader: DataLoader) -> DataLoader:
    """The loader, or one whose only batch is None: a process without samples must still take part in the evaluation.

    Lightning leaves out the hooks of a loop without batches, and the other processes would wait for its figures.
    """
    return loader if len(loader) else DataLoader([None], batch_size=None)  # type: ignore[arg-type]


def _for_resume(loader: StatefulDataLoader) -> StatefulDataLoader:
    """The same, seeding its workers by a generator of its own, and with workers that leave a stop to the main process.

    Otherwise each pass draws from torch's global state, and a resumed run starts one pass more or one less.
    """
    loader.generator = torch.Generator().manual_seed(torch.initial_seed())
    loader.worker_init_fn = _start_worker
    return loader


def _start_worker(worker: int) -> None:
    """Out of reach of a Ctrl-C in the terminal and of a job's last signal: the step that runs needs its batch."""
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    pl_worker_init_function(worker)


def check_options(*, num_workers: int, max_bad_fraction: float, **sizes: float) -> None:
    """Complain of the first option of a datamodule that is out of range.

    Args:
        num_workers: at least 0.
        max_bad_fraction: a share, 0–1.
        sizes: above 0; whole numbers are at least 1.

    Raises:
        ValueError: it names the option.
    """
    for name, size in sizes.items():
        if size <= 0:
            raise ValueError(f"{name} {size} must be {'at least 1' if isinstance(size, int) else 'above 0'}")
    if num_workers < 0:
        raise ValueError(f"num_workers {num_workers} must be at least 0")
    if not 0 <= max_bad_fraction <= 1:
        raise ValueError(f"max_bad_fraction {max_bad_fraction} must be a share, 0 to 1")
