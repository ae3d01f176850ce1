"""Start a task from the backbone of another."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmtasks.backbone import Backbone
from mmtasks.checkpoint import read_checkpoint
from mmtasks.errors import UserError

LISTED = 8
PREFIX = "backbone."


@torch.no_grad()
def init_backbone(backbone: Backbone, path: str | Path, *, skip: Sequence[str] = ()) -> str:
    """Copy the weights of the same name from a checkpoint of any task; returns what was and what was not, in lines.

    skip: beginnings of names that stay as they are, as ``encoders.text``.

    Raises:
        UserError: not a checkpoint, no weight in common, or one of another shape.
    """
    given = {
        name.removeprefix(PREFIX): weight
        for name, weight in read_checkpoint(path)["state_dict"].items()
        if name.startswith(PREFIX) and not name.startswith(tuple(PREFIX + beginning for beginning in skip))
    }
    own = backbone.state_dict()
    common = sorted(own.keys() & given.keys())
    if not common:
        raise UserError(f"{path}: has no weight of this backbone; it holds {_groups(given)}, this one {_groups(own)}")
    for name in common:
        _check_shape(path, name, given[name], own[name])
    for name in common:
        own[name].copy_(given[name])
    return "\n".join(
        [
            f"the backbone starts from {path}:",
            f"  taken: {_groups(common)}",
            f"  new, not in the checkpoint: {_groups(sorted(own.keys() - given.keys()))}",
            f"  left in the checkpoint: {_groups(sorted(given.keys() - own.keys()))}",
        ]
    )


def _check_shape(path: str | Path, name: str, given: Tensor, own: Tensor) -> None:
    if given.shape != own.shape:
        group = _group(name)
        raise UserError(
            f"{path}: {name} has shape {tuple(given.shape)}, here it is {tuple(own.shape)}; "
            f"give the configs equal sizes, or leave it out with --init_backbone_skip='[{group}]'"
        )


def _groups(names: Sequence[str] | dict[str, Tensor]) -> str:
    """How many weights of each part, as ``encoders.text (12), fusion (4)``."""
    counts: dict[str, int] = {}
    for name in names:
        counts[_group(name)] = counts.get(_group(name), 0) + 1
    shown = [f"{group} ({count})" for group, count in list(counts.items())[:LISTED]]
    return ", ".join([*shown, *(["…"] if len(counts) > LISTED else [])]) or "nothing"


def _group(name: str) -> str:
    """``encoders.text.rnn.weight`` -> ``encoders.text``; ``fusion.norm.bias`` -> ``fusion``."""
    parts = name.split(".")
    return parts[0] if parts[0] == "fusion" else ".".join(parts[:2])
