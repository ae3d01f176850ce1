"""Checkpoint files that are whole or absent: written beside, forced to the disk, then renamed."""

import os
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.utilities.rank_zero import rank_zero_warn

PART = ".part"
SAVED = "config.yaml"
"""A run's own config, in its folder."""


class WholeCheckpoints(TorchCheckpointIO):
    """Local checkpoint files that no kill and no full disk leaves broken.

    What cannot be written is a warning, not the end of training: the older file stays, the next save tries again, and
    ``unwritten`` tells whoever needs to know. Ending would lose the steps since the older file as well; going on loses
    nothing if there is room by the next save.
    """

    def __init__(self) -> None:
        self.unwritten: dict[Path, str] = {}
        """Why the newest state is missing from a file, by its path; files written since are not in it."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any = None) -> None:
        """Replace the file at once, or leave it as it was and warn.

        Raises:
            TypeError: there are no storage options.
        """
        if storage_options is not None:
            raise TypeError(f"storage_options {storage_options!r} must be None: checkpoints are local files")
        path = Path(path)
        try:
            _replace(path, checkpoint)
            self.unwritten.pop(path, None)
        except (OSError, RuntimeError) as error:
            self.unwritten[path] = _reason(error)
            kept = "the older one stays" if path.exists() else "there is none yet"
            rank_zero_warn(f"{path}: not written ({self.unwritten[path]}); {kept}, training goes on")


def unwritten(trainer: Trainer) -> dict[Path, str]:
    """Checkpoints whose newest state this process could not write, and why."""
    io = trainer.strategy.checkpoint_io
    return io.unwritten if isinstance(io, WholeCheckpoints) else {}


def clear_parts(folder: Path) -> None:
    """Remove what writes that were cut off have left in a folder."""
    for part in folder.glob(f"*{PART}"):
        part.unlink(missing_ok=True)


def newest(folder: Path) -> Path | None:
    """The checkpoint of a folder that was written last."""
    return max(folder.glob("*.ckpt"), key=lambda path: path.stat().st_mtime_ns, default=None)


def _replace(path: Path, checkpoint: dict[str, Any]) -> None:
    """Not through a buffer in memory, which would need room for the whole model once more."""
    part = path.with_name(path.name + PART)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            torch.save(checkpoint, file)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Without it, the new name itself may not survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: BaseException) -> str:
    """What the system said: torch raises a RuntimeError of its own on top of a failed write.

    Raises:
        RuntimeError: the error itself, if it is of another kind.
    """
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__context__
    if cause is None:
        raise error
    return cause.strerror or str(cause)
