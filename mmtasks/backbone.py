"""The shared backbone: an encoder per modality, one width for all, fusion."""

from typing import cast

import torch
from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.spectrogram import SpecAugment
from mmtasks.errors import UserError
from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.layers import drop_features, time_sinusoids
from mmtasks.names import check_names
from mmtasks.types import Facts, Fused, Modality, Tokens

TIME_SCALE = 2.0
"""Of the sinusoids of ``timed`` before training: two tokens of one moment then find each other by their dot product."""


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
        augment: in training, masks over a modality's projected tokens: name -> ``SpecAugment``, whose frequencies are
            then features. What is cached can be augmented no earlier.
        modality_dropout: in training, the share of samples from which a whole stream is taken, as if they lacked it:
            name -> 0–1. A sample that would have no stream left keeps all of them. Streams with several rows a sample,
            such as the descriptions that it is compared with, are never taken and do not count as its streams.
        positions: learned positions for modalities whose encoder gives none: name -> the most tokens it may have.
        timed: modalities whose tokens come at an even pace; they are told their time, the same way in all of them, so
            that fusion can find what happens at one moment. Tokens of several places of one moment have its time.
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
        augment: dict[str, SpecAugment] | None = None,
        modality_dropout: dict[str, float] | None = None,
        positions: dict[str, int] | None = None,
        timed: list[str] | None = None,
        as_is: list[str] | None = None,
    ) -> None:
        super().__init__()
        check_names("encoders", encoders)
        parts = fusion.modules() if fusion is not None else ()
        read = {name for part in parts if isinstance(part, Fusion) for name in part.modalities or []}
        for argument, named in (
            ("fusion.modalities", read),
            ("positions", positions),
            ("token_dropout", token_dropout),
            ("augment", augment),
            ("modality_dropout", modality_dropout),
            ("timed", timed),
            ("as_is", as_is),
        ):
            unknown = set(named or {}) - set(encoders)
            if unknown:
                raise ValueError(
                    f"{argument} for {sorted(unknown)}, which have no encoder; encoders: {sorted(encoders)}"
                )
        if both := sorted({*(timed or [])} & {*(as_is or [])}):
            raise ValueError(f"timed and as_is both name {both}: what goes on as it is cannot be told its time")
        if both := sorted({*(augment or [])} & {*(as_is or [])}):
            raise ValueError(f"augment and as_is both name {both}: what goes on as it is cannot be masked")
        if not all(0 <= share <= 1 for share in (modality_dropout or {}).values()):
            raise ValueError(f"modality_dropout {modality_dropout} must be shares, 0 to 1")
        self.encoders = nn.ModuleDict(encoders)
        self.fusion = fusion
        self.dim = dim
        self.dropout = dropout
        self.token_dropout = token_dropout
        self.augment = nn.ModuleDict(augment) if augment else None
        self.modality_dropout = modality_dropout
        self.positions = positions
        self.timed = timed
        self.as_is = as_is

    def build(self, facts: Facts) -> None:
        """Make the weights, with each modality's facts.

        Raises:
            UserError: a modality of ``as_is`` has an encoder of another width, one borrows what is not there, or nobody
                knows how often one of ``timed`` has a token.
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
        self.token_seconds = {name: self._token_seconds(name, facts) for name in self.timed or []}
        if self.timed:
            self.time_scale = nn.Parameter(torch.tensor([TIME_SCALE]))
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
        """Modality (B, T, …), or Tokens (B, N, width) from a cache -> Tokens (B, N, dim), of each modality.

        Raises:
            UserError: the data gives a modality that has no encoder.
        """
        if unread := sorted(inputs.keys() - self.encoders.keys()):
            there = ", ".join(sorted(self.encoders.keys()))
            raise UserError(f"the data gives {unread[0]}, but backbone.encoders has only {there}: give it an encoder")
        return {name: self._encode(name, value) for name, value in self._drop_streams(inputs).items()}

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
        x = self.project[name](drop_features(tokens.x, self.dropout, training=self.training))
        if self.augment is not None and name in self.augment:
            x = self.augment[name](Tokens(x, tokens.mask)).x
        x = x + self.modality[name]
        if name in self.token_seconds:
            moments = torch.arange(x.shape[1], device=x.device) // cast(Encoder, self.encoders[name]).places
            seconds = moments * self.token_seconds[name]
            x = x + self.time_scale * time_sinusoids(seconds, self.dim).to(x)
        if name in self.position:
            length = x.shape[1]
            if length > len(self.position[name]):
                raise ValueError(f"{name}: {length} tokens, but positions has only {len(self.position[name])}")
            x = x + self.position[name][:length]
        return Tokens(x, self._drop_tokens(name, tokens.mask))

    def _token_seconds(self, name: str, facts: Facts) -> float:
        known = {**facts.get(name, {}), **cast(Encoder, self.encoders[name]).learned_facts()}
        if "token_seconds" not in known:
            raise UserError(f"timed: {name} does not say how many seconds a token is; leave it out of backbone.timed")
        return float(known["token_seconds"])

    def _drop_streams(self, inputs: dict[str, Modality | Tokens]) -> dict[str, Modality | Tokens]:
        """The inputs with masks all False where a sample has lost a stream."""
        shares = {name: share for name, share in (self.modality_dropout or {}).items() if name in inputs}
        if not (self.training and shares):
            return inputs
        streams = _of_one_row(inputs)
        present = torch.stack([value.mask.any(dim=1) for value in streams.values()])  # [modalities, B]
        share = torch.tensor([shares.get(name, 0.0) for name in streams], device=present.device)
        kept = torch.rand(present.shape, device=present.device) >= share[:, None]
        kept |= ~(present & kept).any(dim=0)
        return inputs | {
            name: value._replace(mask=value.mask & row[:, None])
            for (name, value), row in zip(streams.items(), kept, strict=True)
        }

    def _drop_tokens(self, name: str, mask: Tensor) -> Tensor:
        share = (self.token_dropout or {}).get(name, 0.0)
        return mask & (torch.rand(mask.shape, device=mask.device) >= share) if self.training and share else mask


def _of_one_row(inputs: dict[str, Modality | Tokens]) -> dict[str, Modality | Tokens]:
    """The streams with one row a sample.

    Raises:
        UserError: another has not as many rows for each sample.
    """
    sizes = {name: len(value.mask) for name, value in inputs.items()}
    samples = min(sizes.values())
    if any(size % samples for size in sizes.values()):
        raise UserError(f"modality_dropout needs as many rows of a stream for each sample, and there are {sizes}")
    return {name: value for name, value in inputs.items() if sizes[name] == samples}
