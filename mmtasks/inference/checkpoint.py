"""A trained model from its checkpoint alone: backbone, objectives and the preparation of its inputs."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch

from mmtasks.backbone import Backbone
from mmtasks.checkpoint import read_checkpoint
from mmtasks.config import instantiate
from mmtasks.errors import UserError
from mmtasks.objectives.base import Objective


@dataclass
class Model:
    """A loaded model in evaluation mode. ``processors`` turn raw values of a modality into tensors."""

    path: Path
    backbone: Backbone
    objectives: dict[str, Objective]
    processors: dict[str, Any]
    device: torch.device


Kind = TypeVar("Kind", bound=Objective)


def objective_of(model: Model, kind: type[Kind], task: str) -> Kind:
    """The model's objective of this kind.

    Raises:
        UserError: it has none, or several; ``task`` names what it was needed for.
    """
    found = {name: objective for name, objective in model.objectives.items() if isinstance(objective, kind)}
    if not found:
        raise UserError(
            f"{model.path}: trained for {', '.join(model.objectives)}, not for {task}; give another checkpoint"
        )
    if len(found) > 1:
        raise UserError(
            f"{model.path}: has the objectives {', '.join(found)} for {task}; name one, with --objective or in load"
        )
    return next(iter(found.values()))


def load(path: str | Path, *, device: str = "cpu", objectives: Collection[str] | None = None) -> Model:
    """The model of a checkpoint written by ``fit``; of several objectives only some, if asked.

    Raises:
        UserError: not a checkpoint, see ``read_checkpoint``; it has no objective of that name; or no such device.
    """
    return _assemble(Path(path), read_checkpoint(path), _device(device), objectives)


def _device(name: str) -> torch.device:
    """One that this machine has."""
    try:
        return torch.zeros(0, device=name).device
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: torch without CUDA
        reason = " ".join(str(error).split(".")[0].split())
        raise UserError(
            f"--device {name}: cannot be used ({reason}); give cpu, cuda or mps, as this machine has"
        ) from None


def _assemble(path: Path, checkpoint: dict[str, Any], device: torch.device, wanted: Collection[str] | None) -> Model:
    recipe = checkpoint["mmtasks"]
    if missing := set(wanted or ()) - set(recipe["objectives"]):
        raise UserError(f"{path}: has objectives {', '.join(recipe['objectives'])}, not {', '.join(sorted(missing))}")
    backbone = instantiate(recipe["backbone"])
    kept = recipe["objectives"] if wanted is None else wanted
    objectives = {name: instantiate(recipe["objectives"][name]) for name in kept}
    backbone.build(recipe["facts"])
    _fill(backbone, "backbone", checkpoint["state_dict"])
    for name, objective in objectives.items():
        objective.build(backbone.dim, recipe["facts"])
        _fill(objective, f"objectives.{name}", checkpoint["state_dict"])
        objective.eval().to(device)
    processors = {name: _processor(saved) for name, saved in recipe["processors"].items()}
    return Model(path, backbone.eval().to(device), objectives, processors, device)


def _fill(module: torch.nn.Module, prefix: str, weights: dict[str, torch.Tensor]) -> None:
    start = prefix + "."
    module.load_state_dict({k.removeprefix(start): v for k, v in weights.items() if k.startswith(start)})


def _processor(saved: dict[str, Any]) -> Any:
    processor = instantiate(saved["config"])
    if saved["state"]:
        processor.load_state_dict(saved["state"])
    return processor
