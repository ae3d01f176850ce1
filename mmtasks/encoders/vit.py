"""What image encoders share, and a small vision transformer trained from scratch."""

from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.layers import Block, grid_sinusoids
from mmtasks.types import Facts, Modality, Tokens

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
AT_ONCE = 4 * 224 * 224
"""Pixels that a CPU encodes at once, where nothing is learned. More take memory that the C library returns and fetches
anew each time: of EfficientNet-Lite0 at 224 x 224, 32 images at once take 75 ms each and 1 GB, 4 at once 28 ms."""


class Normalise(nn.Module):
    """Subtract the mean and divide by the deviation of each channel; nothing of it is saved.

    >>> Normalise(IMAGENET_MEAN, IMAGENET_STD)(torch.zeros(2, 3, 4, 4)).shape
    torch.Size([2, 3, 4, 4])
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != 3:
            raise ValueError(f"mean {list(mean)} needs 3 values, one per channel")
        if len(std) != 3 or min(std) <= 0:
            raise ValueError(f"std {list(std)} needs 3 positive values, one per channel")
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, 3, H, W)."""
        return (images - self.mean) / self.std


class ImageEncoder(Encoder):
    """Encodes every frame on its own: (B, T, 3, H, W) -> Tokens (B, T * n, width). Subclasses give ``features``.

    Args:
        mean: of each channel, in pixel values of 0 to 1.
        std: of each channel, likewise.
        frozen: the weights get no gradients and the module stays in evaluation mode.
    """

    def __init__(
        self, *, mean: Sequence[float] = IMAGENET_MEAN, std: Sequence[float] = IMAGENET_STD, frozen: bool = False
    ) -> None:
        super().__init__()
        self.mean = list(mean)
        self.std = list(std)
        self.frozen = frozen
        self.normalise = Normalise(mean, std)

    def features(self, images: Tensor) -> Tensor:
        """Normalised images (N, 3, H, W) -> (N, n, width)."""
        raise NotImplementedError(f"{type(self).__name__}.features")

    def inference(self) -> Callable[[Tensor], Tensor]:
        """``features``, prepared for several calls in evaluation mode, between which no weight changes."""
        return self.features

    def forward(self, modality: Modality) -> Tokens:
        """Data (B, T, 3, H, W) in [0, 1], mask (B, T) -> Tokens of (B, T * n, width)."""
        frames = modality.mask.shape
        images = self.normalise(modality.data.flatten(0, 1))
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            learns = torch.is_grad_enabled() or self.training
            x = self.features(images) if learns else self._few_at_once(images)  # [B * T, n, D]
        mask = modality.mask.repeat_interleave(x.shape[1], dim=1)
        return Tokens(x.unflatten(0, frames).flatten(1, 2), mask)

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen encoder never enters."""
        return super().train(mode and not self.frozen)

    def _few_at_once(self, images: Tensor) -> Tensor:
        few = max(1, AT_ONCE // images.shape[-2:].numel())
        if images.device.type != "cpu" or len(images) <= few:
            return self.features(images)
        features = self.inference()
        return torch.cat([features(part) for part in images.split(few)])

    def _freeze_if_frozen(self) -> None:
        if self.frozen:
            self.requires_grad_(False).eval()


def grid_tokens(grid: Tensor, *, positions: bool = False) -> Tensor:
    """A feature grid (N, D, h, w) -> (N, h * w, D), row-major, with sinusoid positions added if asked for."""
    x = grid.flatten(2).transpose(1, 2).contiguous()  # the layout of what blocks give
    if positions:
        x = x + grid_sinusoids(grid.shape[2], grid.shape[3], grid.shape[1]).to(x)
    return x


class ViTEncoder(ImageEncoder):
    """Vision transformer (Dosovitskiy et al. 2021) without class token, with fixed positions: any image size.

    Args:
        dim: width of a token; a multiple of 4 and of ``num_heads``.
        patch_size: pixels on the side of a patch; the image's sides must be multiples of it.
        num_layers: transformer blocks.
        num_heads: attention heads of a block.
        dropout: on the patches and within the blocks.
        mean: of each channel.
        std: of each channel.

    >>> encoder = ViTEncoder(8, patch_size=4, num_layers=1, num_heads=2)
    >>> encoder.build({})
    >>> encoder(Modality(torch.zeros(2, 1, 3, 8, 12), torch.ones(2, 1, dtype=torch.bool))).x.shape
    torch.Size([2, 6, 8])
    """

    def __init__(
        self,
        dim: int = 192,
        *,
        patch_size: int = 16,
        num_layers: int = 6,
        num_heads: int = 3,
        dropout: float = 0.0,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
    ) -> None:
        super().__init__(mean=mean, std=std)
        for name, value in {"patch_size": patch_size, "num_layers": num_layers, "num_heads": num_heads}.items():
            if value < 1:
                raise ValueError(f"{name} {value} must be at least 1")
        if dim < 1 or dim % 4 or dim % num_heads:
            raise ValueError(f"dim {dim} must be a multiple of 4 and of num_heads {num_heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        self.dim = self.width = dim
        self.patch_size = patch_size
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.dropout = dropout

    def build(self, facts: Facts) -> None:
        """Make the weights; no facts are needed."""
        self.patch = nn.Conv2d(3, self.dim, self.patch_size, stride=self.patch_size)
        self.drop = nn.Dropout(self.dropout)
        self.blocks = nn.ModuleList(
            Block(self.dim, self.num_heads, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(self.dim)

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, H / patch_size * W / patch_size, dim).

        Raises:
            ValueError: a side of the image is not a multiple of ``patch_size``.
        """
        height, width = images.shape[-2:]
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(f"image of {height} x {width} pixels: sides must be multiples of {self.patch_size}")
        x = self.drop(grid_tokens(self.patch(images), positions=True))
        for block in self.blocks:
            x, _ = block(x, None)  # every patch is real
        return self.norm(x)
