"""Video encoders: a token for each step, or for each place of it, from given features or from pictures, then read over
time or not.

Padding never reaches a real step.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.vit import ImageEncoder
from mmtasks.errors import UserError
from mmtasks.layers import Block, masked_mean, pool_places, run_rnn, sinusoids
from mmtasks.types import Facts, Modality, Tokens

POOLS = ("mean", "max")
AT_ONCE = 64
"""Pictures encoded at once where nothing is learned from them: an hour of them takes no more memory than a minute."""


class VideoEncoder(Encoder):
    """Steps (B, T, …) -> tokens (B, T * P, dim), each of its own step and place alone. Subclasses also read over time.

    The P ``places`` of a step follow each other, each with what is learned of where it is; one place is the whole step.
    A video that follows itself in a batch, as one with several titles does, has its pictures encoded once; dropout in
    their encoder then drops the same.

    Args:
        dim: width of a token.
        pictures: encodes the pictures of each step: an encoder, or the name of a modality whose encoder is shared, as
            ``image``; None where the data gives features, which are then normalised by the mean and deviation of the
            training videos.
        grid: places a side that each picture keeps; without ``pictures`` the features bring theirs.
        pool: a picture's tokens to one vector a place: their ``mean``, or their ``max``, which small things can decide.
        contrast: beside each step's features, how they differ from the video's mean: importance is relative.
        dropout: on the features, the same ones in all steps of a video: single ones come back from the neighbours;
            in [0, 1).

    >>> encoder = VideoEncoder(8)
    >>> encoder.build({"width": 4, "mean": [0.0] * 4, "std": [1.0] * 4})
    >>> encoder(Modality(torch.zeros(2, 3, 4), torch.ones(2, 3, dtype=torch.bool))).x.shape
    torch.Size([2, 3, 8])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        dim: int = 256,
        *,
        pictures: ImageEncoder | str | None = None,
        grid: int = 1,
        pool: str = "mean",
        contrast: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"dim {dim} must be even")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        if pool not in POOLS:
            raise ValueError(f"pool {pool!r} is none of {', '.join(POOLS)}")
        if grid < 1:
            raise ValueError(f"grid {grid} must be at least 1 place a side")
        if grid > 1 and pictures is None:
            raise ValueError(f"grid {grid} without pictures: features keep theirs with `mmtasks prepare video --grid`")
        self.dim = self.width = dim
        self.pictures = pictures
        self.grid = grid
        self.pool = pool
        self.contrast = contrast
        self.dropout = dropout

    def build(self, facts: Facts) -> None:
        """Make the weights. Without ``pictures`` reads ``width``, ``mean``, ``std`` and ``places`` of the features.

        Raises:
            UserError: the data gives pictures instead.
        """
        if isinstance(self.pictures, ImageEncoder):
            self.pictures.build(facts.get("pictures", {}))
        if self.pictures is not None:
            width = self.picture_encoder.width
            self.places = self.grid**2
        elif "width" not in facts:
            raise UserError("the encoder of videos reads features, but the data gives pictures; change its pictures")
        else:
            width = facts["width"]
            self.places = facts.get("places", 1)
            self.register_buffer("mean", torch.tensor(facts["mean"]), persistent=False)
            self.register_buffer("std", torch.tensor(facts["std"]), persistent=False)
        self.project = nn.Linear(width * (2 if self.contrast else 1), self.dim)
        if self.places > 1:
            self.place = nn.Parameter(torch.randn(self.places, self.dim) * 0.02)

    @property
    def picture_encoder(self) -> ImageEncoder:
        """That of the pictures of each step, its own or a shared one."""
        if isinstance(self.pictures, ImageEncoder):
            return self.pictures
        return cast(ImageEncoder, self._borrowed[0])

    def lenders(self) -> list[str]:
        """The modality whose encoder reads the pictures, where it is shared."""
        return [self.pictures] if isinstance(self.pictures, str) else []

    def borrow(self, encoders: Mapping[str, Encoder]) -> None:
        """Take the shared encoder of pictures.

        Raises:
            UserError: it encodes none.
        """
        for name, encoder in encoders.items():
            if not isinstance(encoder, ImageEncoder):
                raise UserError(f"pictures {name!r}: the encoder of {name} is {type(encoder).__name__}, not of images")
        self._borrowed = list(encoders.values())  # in a list, so that torch does not register its weights twice

    def learned_facts(self) -> dict[str, Any]:
        """Those of the encoder of pictures."""
        return {"pictures": self.pictures.learned_facts()} if isinstance(self.pictures, ImageEncoder) else {}

    def forward(self, modality: Modality) -> Tokens:
        """Features (B, T, D) or (B, T, P, D), or pixels (B, T, 3, H, W), mask (B, T) -> Tokens (B, T * P, dim).

        They are zero where padded.

        Raises:
            UserError: features of another width or number of places than the weights are for, or in the place of
                pictures, or pictures whose features are no grid.
        """
        x, mask = self._features(modality), modality.mask
        if self.contrast:
            x = torch.cat([x, x - masked_mean(x.flatten(2), mask).unflatten(1, x.shape[2:])[:, None]], dim=-1)
        x = self.project(x * F.dropout(torch.ones_like(x[:, :1, :1]), self.dropout, self.training))  # [B, T, P, dim]
        if self.places > 1:
            x = x + self.place
        x = self._read_places(x, mask) * mask[..., None, None]
        return Tokens(x.flatten(1, 2), mask.repeat_interleave(self.places, dim=1))

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Projected steps (B, T, dim), mask (B, T) -> (B, T, dim)."""
        return F.gelu(x)

    def misfit(self, step: Sequence[int]) -> str:
        """What is wrong with given features whose steps have this shape, (D,) or (P, D); "" for nothing."""
        places, width = (1, *step) if len(step) == 1 else step
        if (places, width) == (self.places, len(self.mean)):
            return ""
        if places == self.places == 1:
            return f"width {width}, but the model learned from {len(self.mean)}"
        return f"{places} places of width {width}, but the model learned from {self.places} of width {len(self.mean)}"

    def _read_places(self, x: Tensor, mask: Tensor) -> Tensor:
        """Each place over time for itself: (B, T, P, dim), mask (B, T) -> (B, T, P, dim)."""
        by_place = x.transpose(1, 2)  # [B, P, T, dim]
        x = self.read(by_place.flatten(0, 1), mask.repeat_interleave(self.places, dim=0))
        return x.unflatten(0, by_place.shape[:2]).transpose(1, 2)

    def _features(self, modality: Modality) -> Tensor:
        """A vector for each place of a step (B, T, P, width), zero where padded."""
        data, mask = modality
        if (data.ndim == 5) != (self.pictures is not None):
            reads, given = ("features", "pictures") if data.ndim == 5 else ("pictures", "features")
            raise UserError(f"the encoder of videos reads {reads}, but the data gives {given}; change its pictures")
        if self.pictures is None:
            return (self._given(data) - self.mean) / self.std * mask[..., None, None]
        first, own = _first_of_alike(data, mask)
        if first.all():  # without a copy: a video may be long
            return self._seen(data, mask)
        return self._seen(data[first], mask[first])[own]

    def _seen(self, data: Tensor, mask: Tensor) -> Tensor:
        """Pictures (B, T, 3, H, W) -> (B, T, P, width), zero where padded. Only real ones are encoded."""
        real = data[mask]  # [steps, 3, H, W]
        if len(real) == 0:  # so that the encoder is part of every step of training
            real = data.new_zeros(1, *data.shape[2:])
        learns = torch.is_grad_enabled() and any(p.requires_grad for p in self.picture_encoder.parameters())
        with torch.set_grad_enabled(learns):
            parts = (real,) if learns else real.split(AT_ONCE)
            pooled = torch.cat([self._pooled(part) for part in parts])
        x = pooled.new_zeros(*mask.shape, *pooled.shape[1:])
        return x.masked_scatter(mask[..., None, None], pooled) + 0 * pooled.sum()

    def _given(self, data: Tensor) -> Tensor:
        """Features of steps, or of their places -> (B, T, P, width)."""
        if misfit := self.misfit(data.shape[2:]):
            raise UserError(f"features of {misfit}; make them as those of its training were made")
        return data.unflatten(-1, (1, -1)) if data.ndim == 3 else data

    def _pooled(self, pictures: Tensor) -> Tensor:
        """(steps, 3, H, W) -> (steps, P, width)."""
        mask = torch.ones(len(pictures), 1, dtype=torch.bool, device=pictures.device)
        tokens = self.picture_encoder(Modality(pictures[:, None], mask)).x
        return pool_places(tokens, self.grid, (pictures.shape[2], pictures.shape[3]), pool=self.pool)


def _first_of_alike(data: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Which samples are not the same as the one before, (B,) bool, and the place among them of each one's own, (B,).

    A video with several titles follows itself in a batch: its pictures are encoded once.
    """
    again = (data[1:] == data[:-1]).flatten(1).all(dim=1) & (mask[1:] == mask[:-1]).all(dim=1)
    first = F.pad(~again, (1, 0), value=True)
    return first, first.cumsum(dim=0) - 1


class LSTMVideo(VideoEncoder):
    """Bidirectional LSTM over the steps, as in vsLSTM (Zhang et al. 2016).

    Args:
        dim: width of a token; half for each direction.
        num_layers: LSTM layers.
        pictures: encodes the pictures of each step: an encoder, or the modality whose encoder is shared; None where the
            data gives features.
        grid: places a side that each picture keeps.
        pool: a picture's tokens to one vector a place: ``mean`` or ``max``.
        contrast: beside each step's features, how they differ from the video's mean.
        dropout: on the features and between layers, in [0, 1).
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        num_layers: int = 1,
        pictures: ImageEncoder | str | None = None,
        grid: int = 1,
        pool: str = "mean",
        contrast: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, pictures=pictures, grid=grid, pool=pool, contrast=contrast, dropout=dropout)
        if num_layers < 1:
            raise ValueError(f"num_layers {num_layers} must be at least 1")
        self.num_layers = num_layers

    def build(self, facts: Facts) -> None:
        """Make the weights. Without ``pictures`` reads ``width``, ``mean``, ``std`` and ``places``."""
        super().build(facts)
        between = self.dropout if self.num_layers > 1 else 0.0
        self.rnn = nn.LSTM(
            self.dim, self.dim // 2, self.num_layers, bidirectional=True, dropout=between, batch_first=True
        )

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Both directions, over the real steps alone, which come first."""
        return run_rnn(self.rnn, x, mask)


class TransformerVideo(VideoEncoder):
    """Self-attention over the steps, with sinusoid positions.

    Args:
        dim: width of a token, a multiple of ``num_heads``.
        num_layers: transformer blocks.
        num_heads: attention heads of a block.
        positions: tell the blocks the order of steps.
        pictures: encodes the pictures of each step: an encoder, or the modality whose encoder is shared; None where the
            data gives features.
        grid: places a side that each picture keeps.
        pool: a picture's tokens to one vector a place: ``mean`` or ``max``.
        contrast: beside each step's features, how they differ from the video's mean.
        dropout: on the features and within the blocks, in [0, 1).
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        num_layers: int = 1,
        num_heads: int = 4,
        positions: bool = True,
        pictures: ImageEncoder | str | None = None,
        grid: int = 1,
        pool: str = "mean",
        contrast: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, pictures=pictures, grid=grid, pool=pool, contrast=contrast, dropout=dropout)
        if dim % num_heads:
            raise ValueError(f"dim {dim} must be a multiple of num_heads {num_heads}")
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.positions = positions

    def build(self, facts: Facts) -> None:
        """Make the weights. Without ``pictures`` reads ``width``, ``mean``, ``std`` and ``places``."""
        super().build(facts)
        self.blocks = nn.ModuleList(
            Block(self.dim, self.num_heads, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(self.dim)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through all blocks."""
        if self.positions:
            x = x + sinusoids(x.shape[1], self.dim).to(x)
        for block in self.blocks:
            x, _ = block(x, mask)
        return self.norm(x)


class ConvVideo(VideoEncoder):
    """Convolutions over neighbouring steps, each residual: what changes from one step to the next.

    Args:
        dim: width of a token.
        kernels: steps that each layer sees, odd.
        pictures: encodes the pictures of each step: an encoder, or the modality whose encoder is shared; None where the
            data gives features.
        grid: places a side that each picture keeps.
        pool: a picture's tokens to one vector a place: ``mean`` or ``max``.
        contrast: beside each step's features, how they differ from the video's mean.
        dropout: on the features, in [0, 1).
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        kernels: Sequence[int] = (5, 5),
        pictures: ImageEncoder | str | None = None,
        grid: int = 1,
        pool: str = "mean",
        contrast: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__(dim, pictures=pictures, grid=grid, pool=pool, contrast=contrast, dropout=dropout)
        if any(kernel < 1 or kernel % 2 == 0 for kernel in kernels):
            raise ValueError(f"kernels {list(kernels)} must be odd and at least 1")
        self.kernels = list(kernels)

    def build(self, facts: Facts) -> None:
        """Make the weights. Without ``pictures`` reads ``width``, ``mean``, ``std`` and ``places``."""
        super().build(facts)
        self.layers = nn.ModuleList(
            nn.Conv1d(self.dim, self.dim, kernel, padding=kernel // 2) for kernel in self.kernels
        )
        self.norms = nn.ModuleList(nn.LayerNorm(self.dim) for _ in self.kernels)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Every convolution sees zeros beyond the end, as it would without padding."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            seen = norm(x) * mask[..., None]
            x = x + F.gelu(layer(seen.transpose(1, 2)).transpose(1, 2))
        return x
