"""Sound encoders trained from scratch: log-mel frames, convolutional subsampling, then a Conformer, a transformer or an
LSTM.

Padding never reaches a real frame: every convolution sees zeros beyond the end, as it would without padding.
"""

from typing import Any

from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.conformer import ConformerBlock
from mmtasks.encoders.normalise import check_normalisation
from mmtasks.encoders.spectrogram import HOP, LogMel, SpecAugment, Subsampling
from mmtasks.layers import Block, run_rnn, sinusoids
from mmtasks.types import Facts, Modality, Tokens


class AudioEncoder(Encoder):
    """Samples (B, T) -> log-mel -> a token every 40 ms. Subclasses make and apply what reads the tokens.

    Args:
        dim: width of a token.
        num_mels: bands of the spectrogram.
        normalise: the spectrogram: over each ``utterance``, below its ``loudest``, over ``training``, or ``none``.
        spec_augment: arguments of ``SpecAugment``; None for its defaults, ``{frequencies: 0, times: 0}`` for none.
        dropout: on the subsampled frames and within the layers; in [0, 1).
    """

    def __init__(
        self,
        dim: int,
        *,
        num_mels: int = 80,
        normalise: str = "utterance",
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if dim < 2 or dim % 2:
            raise ValueError(f"dim {dim} must be even")
        if num_mels < 1:
            raise ValueError(f"num_mels {num_mels} must be at least 1")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        self.dim = self.width = dim
        self.num_mels = num_mels
        self.normalise = check_normalisation(normalise)
        self.spec_augment = spec_augment
        self.dropout = dropout
        self.augment = SpecAugment(**(spec_augment or {}))

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        self.front = LogMel(facts["rate"], self.num_mels, normalise=self.normalise)
        self.subsample = Subsampling(self.num_mels, self.dim)
        self.drop = nn.Dropout(self.dropout)

    def learned_facts(self) -> dict[str, Any]:
        """``token_seconds``: from one token to the next."""
        return {"token_seconds": HOP * self.subsample.factor}

    def count_tokens(self, positions: int) -> int:
        """The fewest, in training, of so many samples."""
        frames = int(positions // self.front.hop * (1 - self.augment.stretch))
        return frames // self.subsample.factor + 1

    def forward(self, modality: Modality) -> Tokens:
        """Samples (B, T) -> Tokens of (B, about T / rate / 0.04, dim), zero where padded."""
        frames = self.augment(self.front(modality), centred=self.normalise == "utterance")
        x, mask = self.subsample(frames)
        x = self.drop(x + sinusoids(x.shape[1], self.dim).to(x))
        return Tokens(self.read(x, mask) * mask[..., None], mask)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Subsampled frames (B, N, dim), mask (B, N) -> (B, N, dim)."""
        raise NotImplementedError(f"{type(self).__name__}.read")


class ConformerAudio(AudioEncoder):
    """Conformer (Gulati et al. 2020), with layer norm in the convolution instead of batch norm.

    Args:
        dim: width of a token; even, a multiple of ``num_heads``.
        num_layers: Conformer blocks.
        num_heads: attention heads of a block.
        kernel: tokens that the convolution sees; odd.
        num_mels: bands of the spectrogram.
        normalise: the spectrogram: over each ``utterance``, below its ``loudest``, over ``training``, or ``none``.
        spec_augment: arguments of ``SpecAugment``.
        dropout: on the subsampled frames and within the blocks.
        attention_dropout: of the weights of attention; None for ``dropout``. 0 is quicker on a CPU, where
            attention with dropout writes all its weights out.

    >>> import torch
    >>> encoder = ConformerAudio(8, num_layers=1, num_heads=2)
    >>> encoder.build({"rate": 16_000})
    >>> encoder(Modality(torch.zeros(2, 1600), torch.ones(2, 1600, dtype=torch.bool))).x.shape
    torch.Size([2, 3, 8])
    """

    def __init__(
        self,
        dim: int = 144,
        *,
        num_layers: int = 8,
        num_heads: int = 4,
        kernel: int = 15,
        num_mels: int = 80,
        normalise: str = "utterance",
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
        attention_dropout: float | None = None,
    ) -> None:
        super().__init__(
            dim,
            num_mels=num_mels,
            normalise=normalise,
            spec_augment=spec_augment,
            dropout=dropout,
        )
        if kernel < 1 or kernel % 2 == 0:
            raise ValueError(f"kernel {kernel} must be odd and at least 1")
        if dim % num_heads:
            raise ValueError(f"dim {dim} must be a multiple of num_heads {num_heads}")
        if attention_dropout is not None and not 0 <= attention_dropout < 1:
            raise ValueError(f"attention_dropout {attention_dropout} must be at least 0 and below 1, or None")
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.kernel = kernel
        self.attention_dropout = attention_dropout

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        super().build(facts)
        self.blocks = nn.ModuleList(
            ConformerBlock(
                self.dim,
                self.num_heads,
                self.kernel,
                dropout=self.dropout,
                attention_dropout=self.attention_dropout,
            )
            for _ in range(self.num_layers)
        )

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through all blocks."""
        for block in self.blocks:
            x = block(x, mask)
        return x


class TransformerAudio(AudioEncoder):
    """Pre-norm transformer over subsampled frames.

    Args:
        dim: width of a token; even, a multiple of ``num_heads``.
        num_layers: transformer blocks.
        num_heads: attention heads of a block.
        num_mels: bands of the spectrogram.
        normalise: the spectrogram: over each ``utterance``, below its ``loudest``, over ``training``, or ``none``.
        spec_augment: arguments of ``SpecAugment``.
        dropout: on the subsampled frames and within the blocks.
    """

    def __init__(
        self,
        dim: int = 144,
        *,
        num_layers: int = 8,
        num_heads: int = 4,
        num_mels: int = 80,
        normalise: str = "utterance",
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            dim,
            num_mels=num_mels,
            normalise=normalise,
            spec_augment=spec_augment,
            dropout=dropout,
        )
        if dim % num_heads:
            raise ValueError(f"dim {dim} must be a multiple of num_heads {num_heads}")
        self.num_layers = num_layers
        self.num_heads = num_heads

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        super().build(facts)
        self.blocks = nn.ModuleList(
            Block(self.dim, self.num_heads, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(self.dim)

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Through all blocks."""
        for block in self.blocks:
            x, _ = block(x, mask)
        return self.norm(x)


class LSTMAudio(AudioEncoder):
    """Bidirectional LSTM over subsampled frames.

    Args:
        dim: width of a token; even, half for each direction.
        num_layers: LSTM layers.
        num_mels: bands of the spectrogram.
        normalise: the spectrogram: over each ``utterance``, below its ``loudest``, over ``training``, or ``none``.
        spec_augment: arguments of ``SpecAugment``.
        dropout: on the subsampled frames and between the layers.
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        num_layers: int = 3,
        num_mels: int = 80,
        normalise: str = "utterance",
        spec_augment: dict[str, Any] | None = None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__(
            dim,
            num_mels=num_mels,
            normalise=normalise,
            spec_augment=spec_augment,
            dropout=dropout,
        )
        self.num_layers = num_layers

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``rate``, samples a second."""
        super().build(facts)
        dropout = self.dropout if self.num_layers > 1 else 0.0
        self.rnn = nn.LSTM(
            self.dim, self.dim // 2, self.num_layers, bidirectional=True, dropout=dropout, batch_first=True
        )

    def read(self, x: Tensor, mask: Tensor) -> Tensor:
        """Both directions, over the real tokens alone."""
        return run_rnn(self.rnn, x, mask)
