"""Bottleneck fusion: modalities exchange information through a few shared latent tokens only."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.fusion.transformer import check_transformer
from mmtasks.layers import Block
from mmtasks.types import Fused, Tokens


class Bottleneck(Fusion):
    """Attention bottlenecks (Nagrani et al. 2021).

    In each layer every modality attends to its own tokens and the latents; the latents become the mean of what each
    modality present in the sample made of them. A layer's weights are shared by the modalities. What one modality
    writes, another reads a layer later, hence at least two layers.

    Cost grows with the square of the longest modality; with ``own: false`` linearly, for hours of video: tokens then
    read the latents alone, also for what their own modality says (induced set attention, Lee et al. 2019).

    Args:
        num_latents: shared latent tokens; >= 1.
        own: tokens read those of their own modality directly.
        num_layers: transformer blocks; >= 2.
        num_heads: attention heads; must divide the width.
        mlp_ratio: feed-forward width over token width.
        dropout: in attention and on both residuals; in [0, 1).

    >>> fusion = Bottleneck(2, num_heads=2)
    >>> fusion.build(8)
    >>> mask = torch.ones(1, 3, dtype=torch.bool)
    >>> fusion({"text": Tokens(torch.zeros(1, 3, 8), mask), "image": Tokens(torch.zeros(1, 3, 8), mask)}).x.shape
    torch.Size([1, 6, 8])
    """

    def __init__(
        self,
        num_latents: int = 8,
        *,
        own: bool = True,
        num_layers: int = 2,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if num_latents < 1:
            raise ValueError(f"num_latents must be >= 1, got {num_latents}")
        if num_layers < 2:
            raise ValueError(f"num_layers must be >= 2 (with fewer, no modality reads another), got {num_layers}")
        check_transformer(num_layers, num_heads, mlp_ratio, dropout)
        self.num_latents = num_latents
        self.own = own
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout

    def build(self, dim: int) -> None:
        """Make the weights for tokens of width ``dim``, a multiple of ``num_heads`` (else ValueError)."""
        self.latents = nn.Parameter(torch.randn(self.num_latents, dim) * 0.02)
        self.blocks = nn.ModuleList(
            Block(dim, self.num_heads, mlp_ratio=self.mlp_ratio, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, D) of each modality -> Fused (B, N, D); attention (B, N, N) if ``need_weights``.

        Attention is that of the last layer: to a token directly within a modality, plus what was read from latents
        times what they had read from each token in the layers before. Rows sum to at most 1; the rest is what came
        from the latents' own starting values.
        """
        x, mask, spans, _ = concatenate(tokens)
        real = mask.unsqueeze(-1)
        x = x.masked_fill(~real, 0)
        latents = self.latents.expand(len(x), -1, -1)
        sources = x.new_zeros(len(x), self.num_latents, x.shape[1]) if need_weights else None  # [B, L, N]
        attention: Tensor | None = None
        for block in self.blocks:
            made: list[Tensor] = []
            written: list[Tensor] = []
            read: list[Tensor] = []
            parts: list[Tensor] = []
            for span in spans.values():
                part, latent, weights = self._layer(block, x[:, span], mask[:, span], latents, need_weights)
                parts.append(part)
                made.append(latent)
                if weights is not None and sources is not None:
                    rows = _compose(weights, sources, span)
                    read.append(rows[:, : part.shape[1]])
                    written.append(rows[:, part.shape[1] :])
            present = [mask[:, span].any(dim=1) for span in spans.values()]
            x, latents = torch.cat(parts, dim=1), _mean_of_present(made, present, latents)
            if sources is not None:
                attention, sources = torch.cat(read, dim=1) * real, _mean_of_present(written, present, sources)
        return Fused(self.norm(x).masked_fill(~real, 0), mask, spans, attention)

    def _layer(
        self, block: nn.Module, x: Tensor, mask: Tensor, latents: Tensor, need_weights: bool
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """x (B, n, D), mask (B, n), latents (B, L, D) -> x, latents, weights (B, n + L, n + L) or None."""
        latents = latents.to(x.dtype)
        both, both_mask = torch.cat([x, latents], dim=1), torch.cat([mask, mask.new_ones(latents.shape[:2])], dim=1)
        if self.own:
            both, weights = block(both, both_mask, need_weights=need_weights)
            return both[:, : x.shape[1]], both[:, x.shape[1] :], weights
        made, read = block(latents, both_mask, context=both, need_weights=need_weights)
        x, through = block(x, None, context=latents, need_weights=need_weights)
        if read is None or through is None:
            return x, made, None
        return x, made, torch.cat([F.pad(through, (x.shape[1], 0)), read], dim=1)


def _compose(weights: Tensor, sources: Tensor, span: slice) -> Tensor:
    """Attention to latents replaced by what those had read.

    weights (B, n + L, n + L) of one modality, sources (B, L, N) -> (B, n + L, N); rows sum to at most 1.
    """
    own = span.stop - span.start
    through = weights[..., own:] @ sources.to(weights.dtype)
    before, here, after = through[..., : span.start], through[..., span], through[..., span.stop :]
    return torch.cat([before, here + weights[..., :own], after], dim=-1)


def _mean_of_present(values: list[Tensor], present: list[Tensor], otherwise: Tensor) -> Tensor:
    """Mean over modalities: values (B, L, F) each, present (B,) each; ``otherwise`` (B, L, F) if none is present."""
    weight = torch.stack(present)[:, :, None, None]  # [modalities, B, 1, 1]
    count = weight.sum(dim=0)
    mean = (torch.stack(values) * weight).sum(dim=0) / count.clamp(min=1)
    return torch.where(count > 0, mean, otherwise.to(mean.dtype))
