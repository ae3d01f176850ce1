"""Encoders around pretrained models of the transformers library."""

from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.batch_norms import keep_statistics
from mmtasks.encoders.transformers_model import (
    check_tuning,
    freeze_unread,
    make_model,
    model_width,
    plain_config,
    tune,
)
from mmtasks.encoders.vit import IMAGENET_MEAN, IMAGENET_STD, ImageEncoder, grid_tokens
from mmtasks.errors import UserError
from mmtasks.types import Facts, Modality, Tokens

ANY_SIZE = 224
"""Pixels on the side of a picture for a model that takes pictures of any size."""


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
        check_tuning(name, tuning, lora_rank)
        self.name = name
        self.tuning = tuning
        self.lora_rank = lora_rank
        self.frozen = tuning == "frozen"

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones of that configuration, reading no file.

        Raises:
            UserError: no such model, or its vocabulary or length is too small for the data.
        """
        model = make_model(self.name, facts)
        config = model.config
        self.width = model_width(config)
        for fact, limit in (("vocab_size", "vocab_size"), ("max_length", "max_position_embeddings")):
            allowed = getattr(config, limit, None)
            if allowed is not None and facts.get(fact, 0) > allowed:
                raise UserError(f"{self.name}: the data's {fact} is {facts[fact]}, but the model allows {allowed}")
        self.architecture = plain_config(config)
        self.model = tune(model, self.tuning, self.lora_rank)
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
        tuning: ``"frozen"``, ``"full"``, ``"lora"`` or how many last layers to train, of a network of stages
            how many last stages. Batch norms stay as pretrained.
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
        check_tuning(name, tuning, lora_rank)
        self.name = name
        self.tuning = tuning
        self.lora_rank = lora_rank

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones of that configuration, reading no file.

        Raises:
            UserError: no such model.
        """
        model = make_model(self.name, facts)
        self.width = model_width(model.config)
        self.architecture = plain_config(model.config)
        self.model = tune(model, self.tuning, self.lora_rank).eval()
        if not self.frozen:
            self._freeze_unread(model.config)
        self.train(self.training)

    def learned_facts(self) -> dict[str, Any]:
        """The model's configuration, from which ``build`` needs no files."""
        return {"architecture": self.architecture}

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen model and batch norms never enter."""
        super().train(mode)
        keep_statistics(self)
        return self

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, n, width), class tokens included; a feature grid becomes h * w tokens."""
        x = self.model(pixel_values=images).last_hidden_state
        return grid_tokens(x) if x.dim() == 4 else x

    def _freeze_unread(self, config: Any) -> None:
        size = getattr(config, "image_size", None) or ANY_SIZE
        height, width = size if isinstance(size, Sequence) else (size, size)
        weight = next(self.model.parameters())
        with torch.enable_grad():
            freeze_unread(self.model, self.features(weight.new_zeros(1, 3, height, width)))
