"""Start a task from the backbone of another."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmtasks.backbone import Backbone
from mmtasks.checkpoint import read_checkpoint
from mmtasks.errors import UserError
from mmtasks.tasks.agreement import fitted_differently

LISTED = 8
PREFIX = "backbone."


@torch.no_grad()
def init_backbone(
    backbone: Backbone, path: str | Path, *, processors: Mapping[str, Any] | None = None, skip: Sequence[str] = ()
) -> str:
    """Copy the weights of the same name from a checkpoint of any task; returns what was and what was not, in lines.

    Args:
        backbone: its weights are there.
        path: of the checkpoint.
        processors: how the backbone's inputs are prepared, as ``TaskData.describe_processors`` says.
        skip: beginnings of names that stay as they are, as ``encoders.text``.

    Raises:
        UserError: not a checkpoint, no weight in common, one of another shape, or an encoder of another vocabulary.
    """
    checkpoint = read_checkpoint(path)
    given = {
        name.removeprefix(PREFIX): weight
        for name, weight in checkpoint["state_dict"].items()
        if name.startswith(PREFIX) and not name.startswith(tuple(PREFIX + beginning for beginning in skip))
    }
    own = backbone.state_dict()
    common = sorted(own.keys() & given.keys())
    if not common:
        raise UserError(f"{path}: has no weight of this backbone; it holds {_groups(given)}, this one {_groups(own)}")
    for name in common:
        _check_shape(path, name, given[name], own[name])
    others = _other_vocabularies(checkpoint["mmtasks"].get("processors", {}), processors or {})
    _check_vocabularies(path, {_group(name) for name in common}, others, skip)
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


def _other_vocabularies(given: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """The modalities that both prepare with something learned, such as a tokenizer, and not the same."""
    return [name for name in fitted_differently(given, own) if given[name]["state"] and own[name]["state"]]


def _check_vocabularies(path: str | Path, groups: set[str], others: Iterable[str], skip: Sequence[str]) -> None:
    """UserError for an encoder that would take the word vectors of other words, unless some of it is skipped."""
    for group in (f"encoders.{name}" for name in others):
        if group in groups and not any(beginning.startswith(group) for beginning in skip):
            raise UserError(
                f"{path}: {group} has learned another vocabulary than the training texts here have; "
                f"leave it out with --init_backbone_skip='[{group}]'"
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
