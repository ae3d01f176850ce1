"""Residual networks that keep the feature grid as tokens."""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torchvision.models import get_model_weights
from torchvision.models.resnet import BasicBlock, Bottleneck
from torchvision.ops import FrozenBatchNorm2d

from mmtasks.encoders.vit import IMAGENET_MEAN, IMAGENET_STD, ImageEncoder, grid_tokens
from mmtasks.errors import UserError
from mmtasks.types import Facts

LAYERS = {18: [2, 2, 2, 2], 34: [3, 4, 6, 3], 50: [3, 4, 6, 3], 101: [3, 4, 23, 3], 152: [3, 8, 36, 3]}
STEMS = {"imagenet": 7, "small": 3}


class ResNetEncoder(ImageEncoder):
    """ResNet (He et al. 2016), parameters named as in torchvision, with group normalisation (Wu and He 2018).

    Args:
        depth: 18, 34 (basic blocks), 50, 101 or 152 (bottlenecks).
        weights: ``"imagenet"`` for torchvision's weights, whose batch normalisation is then fixed; None for random.
        base_width: channels of the first stage; each following stage has twice as many.
        layers: basic blocks of each stage, any number of stages; replaces ``depth``.
        stem: ``"imagenet"`` (7 x 7, stride 2, then max pooling) or ``"small"`` (3 x 3, stride 2).
        positions: add fixed positions on the grid to the features.
        frozen: the weights get no gradients.
        mean: of each channel.
        std: of each channel.

    >>> import torch
    >>> from mmtasks.types import Modality
    >>> encoder = ResNetEncoder(layers=[1, 1], base_width=8, stem="small")
    >>> encoder.build({})
    >>> encoder(Modality(torch.zeros(2, 1, 3, 16, 16), torch.ones(2, 1, dtype=torch.bool))).x.shape
    torch.Size([2, 16, 16])
    """

    def __init__(
        self,
        depth: int = 18,
        *,
        weights: str | None = None,
        base_width: int = 64,
        layers: list[int] | None = None,
        stem: str = "imagenet",
        positions: bool = True,
        frozen: bool = False,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__(mean=mean, std=std, frozen=frozen)
        self.depth = depth
        self.weights = weights
        self.base_width = base_width
        self.layers = layers
        self.stem = stem
        self.positions = positions
        self._check()
        self.blocks = list(layers or LAYERS[depth])
        self.block = Bottleneck if layers is None and depth >= 50 else BasicBlock
        self.width = base_width * 2 ** (len(self.blocks) - 1) * self.block.expansion
        if positions and self.width % 4:
            raise ValueError(f"base_width {base_width}: positions need features in a multiple of 4, not {self.width}")

    def _check(self) -> None:
        if self.layers is None and self.depth not in LAYERS:
            raise ValueError(f"depth {self.depth} is none of {sorted(LAYERS)}")
        if self.layers is not None and (not self.layers or min(self.layers) < 1):
            raise ValueError(f"layers {self.layers} must name at least one stage of at least one block each")
        if self.stem not in STEMS:
            raise ValueError(f"stem {self.stem!r} is none of {sorted(STEMS)}")
        if self.base_width < 1:
            raise ValueError(f"base_width {self.base_width} must be at least 1")
        if self.weights not in (None, "imagenet"):
            raise ValueError(f"weights {self.weights!r} is neither None nor 'imagenet'")
        if self.weights and (self.layers is not None or self.base_width != 64 or self.stem != "imagenet"):
            raise ValueError("weights 'imagenet' need layers None, base_width 64 and stem 'imagenet'")

    def build(self, facts: Facts) -> None:
        """Make the weights; with ``facts["architecture"]`` nothing is downloaded.

        Raises:
            UserError: the weights cannot be downloaded.
        """
        norm = FrozenBatchNorm2d if self.weights else _group_norm
        kernel = STEMS[self.stem]
        self.conv1 = nn.Conv2d(3, self.base_width, kernel, stride=2, padding=kernel // 2, bias=False)
        self.bn1 = norm(self.base_width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if self.stem == "imagenet" else nn.Identity()
        channels = self.base_width
        for index, count in enumerate(self.blocks):
            width = self.base_width * 2**index
            stage = _stage(self.block, channels, width, count, 1 if index == 0 else 2, norm)
            self.add_module(f"layer{index + 1}", stage)
            channels = width * self.block.expansion
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if self.weights and "architecture" not in facts:
            self.load_state_dict(_download(self.depth))
        self._freeze_if_frozen()

    def learned_facts(self) -> dict[str, Any]:
        """Says that the weights need no download when they come from a checkpoint."""
        return {"architecture": {"name": f"resnet{self.depth}"}} if self.weights else {}

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h * w, width): h = H / 32 for depth 18 and up."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        for index in range(len(self.blocks)):
            x = self.get_submodule(f"layer{index + 1}")(x)
        return grid_tokens(x, positions=self.positions)


def _group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(math.gcd(32, channels), channels)


def _stage(block: Any, channels: int, width: int, count: int, stride: int, norm: Any) -> nn.Sequential:
    out = width * block.expansion
    downsample = None
    if stride != 1 or channels != out:
        downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), norm(out))
    make = partial(block, norm_layer=norm)
    return nn.Sequential(
        make(channels, width, stride=stride, downsample=downsample), *(make(out, width) for _ in range(count - 1))
    )


def _download(depth: int) -> dict[str, Tensor]:
    weights: Any = get_model_weights(f"resnet{depth}")["IMAGENET1K_V1"]
    try:
        state = weights.get_state_dict(progress=False, check_hash=True)
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"weights 'imagenet' of resnet{depth}: cannot get {weights.url} ({reason}); "
            "download it into torch's hub folder, or use weights null"
        ) from error
    return {name: value for name, value in state.items() if not name.startswith("fc.")}
