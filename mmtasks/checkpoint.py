"""What ``mmtasks fit`` has written, read back: plain values and weights."""

from pathlib import Path
from typing import Any

import torch

from mmtasks.errors import UserError


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The ``state_dict``, and under ``mmtasks`` the recipe of the model, its facts and its processors; on the CPU.

    Raises:
        UserError: no such file, not a checkpoint of mmtasks, or damaged.
    """
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no such checkpoint; `mmtasks fit` writes one under runs/") from None
    except Exception:  # the unpickler raises many kinds on what is no checkpoint
        raise UserError(f"{path}: not a readable checkpoint; it may be cut off or another kind of file") from None
    if not isinstance(checkpoint, dict) or "mmtasks" not in checkpoint:
        raise UserError(f"{path}: not a checkpoint of mmtasks; give one written by `mmtasks fit`")
    return checkpoint
