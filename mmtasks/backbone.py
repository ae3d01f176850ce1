"""The shared backbone: an encoder per modality, one width for all, fusion."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.types import Facts, Fused, Modality, Tokens


class Backbone(nn.Module):
    """Encoders -> linear to ``dim``, normalised, + an embedding of the modality -> fusion.

    Normalised, because a fusion that multiplies tokens learns nothing from the small values that encoders start with.

    Args:
        encoders: one encoder per modality, by the modality's name.
        fusion: how the modalities' tokens read each other; None for towers that never do.
        dim: the width of every token after projection.
        dropout: on the encoders' features, before projection; the same features in all tokens of a sample, because
            what is dropped from single tokens comes back when they are pooled.
        token_dropout: in training, the share of a modality's tokens that is left out: name -> 0–1.
        positions: learned positions for modalities whose encoder gives none: name -> the most tokens it may have.
        as_is: modalities whose tokens go on as their encoder made them, without projection and embedding, for heads
            that know them; the encoder's width must be ``dim``.
    """

    def __init__(
        self,
        encoders: dict[str, Encoder],
        fusion: Fusion | None = None,
        *,
        dim: int = 256,
        dropout: float = 0.0,
        token_dropout: dict[str, float] | None = None,
        positions: dict[str, int] | None = None,
        as_is: list[str] | None = None,
    ) -> None:
        super().__init__()
        for argument, named in (("positions", positions), ("token_dropout", token_dropout), ("as_is", as_is)):
            unknown = set(named or {}) - set(encoders)
            if unknown:
                raise ValueError(
                    f"{argument} for {sorted(unknown)}, which have no encoder; encoders: {sorted(encoders)}"
                )
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.dim = dim
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.positions = positions
        self.as_is = as_is

    def build(self, facts: Facts) -> None:
        """Make the weights, with each modality's facts.

        Raises:
            UserError: a modality of ``as_is`` has an encoder of another width, or one borrows what is not there.
        """
        self.project, self.modality, self.position = nn.ModuleDict(), nn.ParameterDict(), nn.ParameterDict()
        for name in self._in_order():
            encoder = cast(Encoder, self.encoders[name])
            encoder.borrow({lender: cast(Encoder, self.encoders[lender]) for lender in encoder.lenders()})
            encoder.build(facts.get(name, {}))
            if name in (self.as_is or []):
                if encoder.width != self.dim:
                    raise UserError(f"as_is: the encoder of {name} has width {encoder.width}: set backbone.dim to it")
                continue
            self.project[name] = nn.Sequential(nn.Linear(encoder.width, self.dim), nn.LayerNorm(self.dim))
            self.modality[name] = nn.Parameter(torch.randn(self.dim) * 0.02)
        for name, length in sorted((self.positions or {}).items()):
            self.position[name] = nn.Parameter(torch.randn(length, self.dim) * 0.02)
        if self.fusion is not None:
            self.fusion.build(self.dim)

    def _in_order(self) -> list[str]:
        """The modalities by name, those that borrow from others last."""
        lenders = {name: cast(Encoder, encoder).lenders() for name, encoder in self.encoders.items()}
        for name, wanted in lenders.items():
            for lender in wanted:
                if lender not in self.encoders or lenders[lender]:
                    own = sorted(other for other in lenders if not lenders[other])
                    raise UserError(f"the encoder of {name} borrows that of {lender!r}; there are {', '.join(own)}")
        return sorted(lenders, key=lambda name: (bool(lenders[name]), name))

    def learned_facts(self) -> Facts:
        """What each encoder needs to be built again without its original files."""
        return {name: encoder.learned_facts() for name, encoder in self.encoders.items()}

    def encode(self, inputs: dict[str, Modality | Tokens]) -> dict[str, Tokens]:
        """Modality (B, T, …), or Tokens (B, N, width) from a cache -> Tokens (B, N, dim), of each modality."""
        return {name: self._encode(name, value) for name, value in inputs.items()}

    def fuse(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, dim) of each modality -> Fused (B, sum of N_m, dim). One modality needs no fusion.

        Raises:
            UserError: there are several, and the backbone has no fusion.
        """
        if self.fusion is None and len(tokens) == 1:
            return concatenate(tokens)
        if self.fusion is None:
            raise UserError("the backbone has no fusion, which this objective needs; give backbone.fusion a class")
        return self.fusion(tokens, need_weights=need_weights)

    def forward(self, inputs: dict[str, Modality | Tokens]) -> tuple[dict[str, Tokens], Fused]:
        """Encode and fuse: the tokens before fusion, and the fused ones."""
        tokens = self.encode(inputs)
        return tokens, self.fuse(tokens)

    def _encode(self, name: str, value: Modality | Tokens) -> Tokens:
        tokens = value if isinstance(value, Tokens) else self.encoders[name](value)
        if name in (self.as_is or []):
            return Tokens(tokens.x, self._drop_tokens(name, tokens.mask))
        x = self.project[name](self._drop_features(tokens.x)) + self.modality[name]
        if name in self.position:
            length = x.shape[1]
            if length > len(self.position[name]):
                raise ValueError(f"{name}: {length} tokens, but positions has only {len(self.position[name])}")
            x = x + self.position[name][:length]
        return Tokens(x, self._drop_tokens(name, tokens.mask))

    def _drop_features(self, x: Tensor) -> Tensor:
        """x (B, N, width), with one mask (B, 1, width) for all tokens."""
        if not (self.training and self.dropout):
            return x
        return x * F.dropout(torch.ones_like(x[:, :1]), self.dropout)

    def _drop_tokens(self, name: str, mask: Tensor) -> Tensor:
        share = (self.token_dropout or {}).get(name, 0.0)
        return mask & (torch.rand(mask.shape, device=mask.device) >= share) if self.training and share else mask
