"""Sound as its spectrum alone: an encoder that has nothing to learn."""

from typing import Any

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.spectrogram import LogMel
from mmtasks.types import Facts, Modality, Tokens


class LogMelAudio(Encoder):
    """How loud each band of pitch is: log-mel frames, a token every 10 ms.

    Args:
        num_mels: bands, the width of a token.

    >>> import torch
    >>> encoder = LogMelAudio(8)
    >>> encoder.build({"rate": 8000})
    >>> encoder(Modality(torch.zeros(2, 800), torch.ones(2, 800, dtype=torch.bool))).x.shape
    torch.Size([2, 11, 8])
    """

    frozen = True

    def __init__(self, num_mels: int = 40) -> None:
        super().__init__()
        if num_mels < 1:
            raise ValueError(f"num_mels {num_mels} must be at least 1")
        self.num_mels = self.width = num_mels

    def build(self, facts: Facts) -> None:
        """Make the bands. Reads ``rate``, samples a second."""
        self.front = LogMel(facts["rate"], self.num_mels, normalise="none")
        self.token_seconds = self.front.hop / facts["rate"]

    def learned_facts(self) -> dict[str, Any]:
        """``token_seconds``: from one token to the next."""
        return {"token_seconds": self.token_seconds}

    def count_tokens(self, positions: int) -> int:
        """Of so many samples."""
        return positions // self.front.hop + 1

    def forward(self, modality: Modality) -> Tokens:
        """Samples (B, T) -> Tokens of (B, about T / rate / 0.01, num_mels), zero where padded."""
        return self.front(modality)
