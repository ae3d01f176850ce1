"""Callbacks that end a run at an exact moment."""

import errno
import os
import signal
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, BinaryIO

import torch
from lightning import Callback, Trainer


class Killed(Exception):
    """Stands for a process that ended without a word."""


class RaiseAt(Callback):
    """End before the batch that follows an optimizer step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step:
            raise Killed


class SignalAt(Callback):
    """Send this process a signal before the batch that follows an optimizer step, unless it was resumed.

    Args:
        step: the step.
        number: the signal's name.
        group: to the processes that it has started as well.
    """

    def __init__(self, step: int, number: str = "SIGKILL", *, group: bool = False) -> None:
        self.step = step
        self.number = number
        self.group = group

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not trainer.ckpt_path:
            send = os.killpg if self.group else os.kill
            send(os.getpid(), signal.Signals[self.number])


class FailWrites(Callback):
    """From an optimizer step on, checkpoints reach the disk by half, unless the run was resumed.

    Args:
        step: the step.
        kill: this process dies then; otherwise the disk is full.
    """

    def __init__(self, step: int, kill: bool = True) -> None:
        self.step = step
        self.kill = kill

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step == self.step and not trainer.ckpt_path:
            torch.save = partial(_write_half, torch.save, kill=self.kill)


def _write_half(save: Callable[..., None], checkpoint: Any, file: BinaryIO, *, kill: bool) -> None:
    whole = BytesIO()
    save(checkpoint, whole)
    file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
    file.flush()
    if kill:
        os.kill(os.getpid(), signal.SIGKILL)
    raise OSError(errno.ENOSPC, "No space left on device")
