"""Encoders around pretrained models of the transformers library."""

import importlib
import json
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.vit import IMAGENET_MEAN, IMAGENET_STD, ImageEncoder, grid_tokens
from mmtasks.errors import UserError
from mmtasks.types import Facts, Modality, Tokens

TUNINGS = ("frozen", "full", "lora")
PACKAGE = "package:"


class PretrainedText(Encoder):
    """A pretrained language model, e.g. BERT (Devlin et al. 2019); its last hidden states are the tokens.

    Args:
        name: name on the model hub, a local folder, or ``package:module`` for an installed package that has
            ``get_model_path()``.
        tuning: ``"frozen"``, ``"full"``, ``"lora"`` (Hu et al. 2022) or how many last layers to train.
        lora_rank: rank of the LoRA matrices.

    >>> small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 10}
    >>> encoder = PretrainedText("bert-base-uncased")
    >>> encoder.build({"architecture": {"model_type": "bert", **small}})
    >>> encoder(Modality(torch.ones(2, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.bool))).x.shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, name: str, *, tuning: str | int = "frozen", lora_rank: int = 8) -> None:
        super().__init__()
        _check(name, tuning, lora_rank)
        self.name = name
        self.tuning = tuning
        self.lora_rank = lora_rank
        self.frozen = tuning == "frozen"

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones of that configuration, reading no file.

        Raises:
            UserError: no such model, or its vocabulary or length is too small for the data.
        """
        model = _make(self.name, facts)
        config = model.config
        self.width = _width(config)
        for fact, limit in (("vocab_size", "vocab_size"), ("max_length", "max_position_embeddings")):
            allowed = getattr(config, limit, None)
            if allowed is not None and facts.get(fact, 0) > allowed:
                raise UserError(f"{self.name}: the data's {fact} is {facts[fact]}, but the model allows {allowed}")
        self.architecture = _plain(config)
        self.model = _tune(model, self.tuning, self.lora_rank)
        self.train(self.training)

    def learned_facts(self) -> dict[str, Any]:
        """The model's configuration, from which ``build`` needs no files."""
        return {"architecture": self.architecture}

    def forward(self, modality: Modality) -> Tokens:
        """Ids (B, L), mask (B, L) -> Tokens of (B, L, width), zero where padded."""
        mask = modality.mask
        readable = mask | ~mask.any(dim=1, keepdim=True)  # an empty row reads everything; dropped below
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            x = self.model(input_ids=modality.data, attention_mask=readable.long()).last_hidden_state
        return Tokens(x * mask[..., None], mask)

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen model never enters."""
        return super().train(mode and not self.frozen)


class PretrainedVision(ImageEncoder):
    """A pretrained vision model, e.g. ViT (Dosovitskiy et al. 2021); its last hidden states are the tokens.

    Args:
        name: name on the model hub, a local folder, or ``package:module`` as for ``PretrainedText``.
        tuning: ``"frozen"``, ``"full"``, ``"lora"`` or how many last layers to train.
        lora_rank: rank of the LoRA matrices.
        mean: of each channel, as the model was trained with.
        std: of each channel, likewise.

    >>> small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 32}
    >>> encoder = PretrainedVision("google/vit-base-patch16-224")
    >>> encoder.build({"architecture": {"model_type": "vit", **small}})
    >>> encoder(Modality(torch.zeros(2, 1, 3, 32, 32), torch.ones(2, 1, dtype=torch.bool))).x.shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        name: str,
        *,
        tuning: str | int = "frozen",
        lora_rank: int = 8,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__(mean=mean, std=std, frozen=tuning == "frozen")
        _check(name, tuning, lora_rank)
        self.name = name
        self.tuning = tuning
        self.lora_rank = lora_rank

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones of that configuration, reading no file.

        Raises:
            UserError: no such model.
        """
        model = _make(self.name, facts)
        self.width = _width(model.config)
        self.architecture = _plain(model.config)
        self.model = _tune(model, self.tuning, self.lora_rank)
        self.train(self.training)

    def learned_facts(self) -> dict[str, Any]:
        """The model's configuration, from which ``build`` needs no files."""
        return {"architecture": self.architecture}

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, n, width), class tokens included; a feature grid becomes h * w tokens."""
        x = self.model(pixel_values=images).last_hidden_state
        return grid_tokens(x) if x.dim() == 4 else x


def _check(name: str, tuning: str | int, lora_rank: int) -> None:
    if not name:
        raise ValueError("name is empty: give a model's name, a folder, or package:module")
    count = isinstance(tuning, int) and not isinstance(tuning, bool) and tuning >= 1
    if not count and tuning not in TUNINGS:
        raise ValueError(f"tuning {tuning!r} is none of {list(TUNINGS)} and no number of last layers from 1")
    if lora_rank < 1:
        raise ValueError(f"lora_rank {lora_rank} must be at least 1")


def _make(name: str, facts: Facts) -> Any:
    from transformers import AutoConfig, AutoModel

    if "architecture" in facts:
        rest = dict(facts["architecture"])
        config = AutoConfig.for_model(rest.pop("model_type"), **rest)
        return _without_pooling(AutoModel.from_config, config)
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


def _width(config: Any) -> int:
    width = getattr(config, "hidden_size", None) or (getattr(config, "hidden_sizes", None) or [None])[-1]
    if width is None:
        raise UserError(f"a model of type {config.model_type} has no single hidden_size: use a model of one modality")
    return int(width)


def _plain(config: Any) -> dict[str, Any]:
    values = json.loads(config.to_json_string(use_diff=False))
    return {name: value for name, value in values.items() if name not in ("_name_or_path", "transformers_version")}


def _tune(model: Any, tuning: str | int, lora_rank: int) -> Any:
    if tuning == "lora":
        return _lora(model, lora_rank)
    model.requires_grad_(tuning == "full")
    if isinstance(tuning, int):
        _train_last(model, tuning)
    for name, parameter in model.named_parameters():
        if "pooler" in name or "mask_token" in name:  # never reached by the last hidden state
            parameter.requires_grad_(False)
    return model


def _train_last(model: nn.Module, count: int) -> None:
    layers = max((m for m in model.modules() if isinstance(m, nn.ModuleList)), key=len, default=nn.ModuleList())
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
    return get_peft_model(model, config)
