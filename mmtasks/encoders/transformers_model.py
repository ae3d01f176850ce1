"""Models of the transformers library: where their weights are, and how much of them is trained."""

import importlib
import json
from typing import Any

import torch
from torch import Tensor, nn

from mmtasks.data.packaged import PACKAGE
from mmtasks.encoders.batch_norms import freeze_batch_norms
from mmtasks.encoders.openai_whisper import packaged_weights, read_openai
from mmtasks.errors import UserError
from mmtasks.types import Facts

TUNINGS = ("frozen", "full", "lora")


def check_tuning(name: str, tuning: str | int, lora_rank: int) -> None:
    """ValueError naming the first argument out of range."""
    if not name:
        raise ValueError("name is empty: give a model's name, a folder, or package:module")
    count = isinstance(tuning, int) and not isinstance(tuning, bool) and tuning >= 1
    if not count and tuning not in TUNINGS:
        raise ValueError(f"tuning {tuning!r} is none of {list(TUNINGS)} and no number of last layers from 1")
    if lora_rank < 1:
        raise ValueError(f"lora_rank {lora_rank} must be at least 1")


def make_model(name: str, facts: Facts) -> Any:
    """The model of that name, or with ``facts["architecture"]`` a random one of that configuration, reading no file.

    name: on the model hub, of a local folder, ``package:module`` for an installed package that has
    ``get_model_path()`` or holds one of OpenAI's checkpoints of Whisper.

    Raises:
        UserError: no such model.
    """
    from transformers import AutoConfig, AutoModel

    if "architecture" in facts:
        rest = dict(facts["architecture"])
        config = AutoConfig.for_model(rest.pop("model_type"), **rest)
        return _without_pooling(AutoModel.from_config, config)
    if name.startswith(PACKAGE) and (weights := packaged_weights(name.removeprefix(PACKAGE))):
        return read_openai(weights)
    source = _source(name)
    try:
        return _without_pooling(AutoModel.from_pretrained, source)
    except (OSError, ValueError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{name}: no such model ({reason}); give a model's name, a folder, or package:module"
        ) from error


def _source(name: str) -> str:
    if not name.startswith(PACKAGE):
        return name
    module = name.removeprefix(PACKAGE)
    try:
        return str(importlib.import_module(module).get_model_path())
    except (ImportError, AttributeError) as error:
        raise UserError(f"{name}: no installed package {module} with get_model_path(); pip install it") from error


def _without_pooling(make: Any, source: Any) -> Any:
    """The pooling layer is never used; not every model can be made without one."""
    try:
        return make(source, add_pooling_layer=False, dtype=torch.float32)
    except TypeError:
        return make(source, dtype=torch.float32)


def model_width(config: Any) -> int:
    """Features of a token of the model's last hidden state."""
    width = getattr(config, "hidden_size", None) or (getattr(config, "hidden_sizes", None) or [None])[-1]
    if width is None:
        raise UserError(f"a model of type {config.model_type} has no single hidden_size: use a model of one modality")
    return int(width)


def plain_config(config: Any) -> dict[str, Any]:
    """Plain values for ``facts["architecture"]``."""
    values = json.loads(config.to_json_string(use_diff=False))
    return {name: value for name, value in values.items() if name not in ("_name_or_path", "transformers_version")}


def tune(model: Any, tuning: str | int, lora_rank: int) -> Any:
    """The model with those weights trainable that ``tuning`` says: none, all, LoRA's, the last layers' or stages'.

    Batch norms stay as they are.

    Raises:
        UserError: the model has not so many layers, none that LoRA adds to, or the package peft is not there.
    """
    if tuning == "lora":
        return _lora(model, lora_rank)
    model.requires_grad_(tuning == "full")
    if isinstance(tuning, int):
        _train_last(model, tuning)
    freeze_batch_norms(model)
    for name, parameter in model.named_parameters():
        if "pooler" in name or "mask_token" in name:  # never reached by the last hidden state
            parameter.requires_grad_(False)
    return model


def freeze_unread(model: nn.Module, output: Tensor) -> None:
    """Train no weight that an output, made with gradients, does not depend on: DDP waits for a gradient of each."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    gradients = torch.autograd.grad(output.sum(), weights, allow_unused=True)
    for weight, gradient in zip(weights, gradients, strict=True):
        weight.requires_grad_(gradient is not None)


def _train_last(model: nn.Module, count: int) -> None:
    lists = {name: m for name, m in model.named_modules() if isinstance(m, nn.ModuleList)}
    outer = [m for name, m in lists.items() if not any(name.startswith(f"{other}.") for other in lists)]
    layers = max(outer, key=len, default=nn.ModuleList())
    if count > len(layers):
        raise UserError(f"tuning {count}: the model has only {len(layers)} layers")
    final = [child for child in model.children() if isinstance(child, nn.LayerNorm)]
    for module in [*list(layers)[-count:], *final]:
        module.requires_grad_(True)


def _lora(model: Any, rank: int) -> Any:
    try:
        from peft import LoraConfig, get_peft_model
    except ImportError as error:
        raise UserError("tuning 'lora' needs the package peft: pip install 'mmtasks[lora]'") from error
    pooler = r".*pooler.*" if any("pooler" in name for name, _ in model.named_modules()) else None
    config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", exclude_modules=pooler)
    try:
        return get_peft_model(model, config)
    except ValueError as error:
        kind, reason = model.config.model_type, str(error).split(". ")[0]
        raise UserError(
            f"tuning 'lora': a model of type {kind} has no layers for it ({reason}); give another tuning"
        ) from None
