"""What every encoder is: raw tensor of one modality in, tokens of its own width out."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from mmtasks.types import Facts, Modality, Tokens


class Encoder(nn.Module):
    """Base class. Constructors check and store their arguments under the same names; ``build`` makes the weights.

    ``width`` (features of a token) is known once ``build`` has run; ``frozen`` says that the weights never change, so
    that the output may be cached per sample; ``window``, known like ``width``: seconds to which every sample is filled
    up, however short; None where a shorter one costs less; ``places``, known like ``width``: tokens of one moment,
    which follow each other.
    """

    width: int
    frozen: bool = False
    window: float | None = None
    places: int = 1

    def build(self, facts: Facts) -> None:
        """Make the weights. ``facts`` are those of this encoder's modality alone, e.g. ``vocab_size``."""
        raise NotImplementedError(f"{type(self).__name__}.build")

    def lenders(self) -> list[str]:
        """Modalities whose encoders this one also uses; they are built first, and handed over before ``build``."""
        return []

    def borrow(self, encoders: Mapping[str, "Encoder"]) -> None:
        """Take what ``lenders`` named, without making it one's own: a weight has one name."""

    def learned_facts(self) -> dict[str, Any]:
        """Plain values that ``build`` needs to make the same weights again without the original files."""
        return {}

    def count_tokens(self, positions: int) -> int | None:
        """How many tokens a sample of so many raw positions gives, once built; None where only ``forward`` tells."""
        return None

    def forward(self, modality: Modality) -> Tokens:
        """Modality of (B, T, …) -> Tokens of (B, N, width)."""
        raise NotImplementedError(f"{type(self).__name__}.forward")


def build_once(encoder: Encoder, facts: Facts) -> None:
    """Make the weights where there are none; those drawn at random are the same every time.

    So a description alone decides what an encoder outside of any model gives.
    """
    if next(encoder.parameters(), None) is None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            encoder.build(facts)
