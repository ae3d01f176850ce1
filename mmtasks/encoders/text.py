"""Text encoders trained from scratch: recurrent, transformer, and a bag of words as the control."""

from torch import Tensor, nn

from mmtasks.encoders.base import Encoder
from mmtasks.layers import Block, run_rnn, sinusoids
from mmtasks.types import Facts, Modality, Tokens

RNNS = {"lstm": nn.LSTM, "gru": nn.GRU}


def embed(facts: Facts, dim: int) -> nn.Embedding:
    """The table of word vectors that the data's vocabulary asks for; the padding's vector is zero.

    Raises:
        ValueError: the facts lack ``vocab_size`` or ``pad_id``.
    """
    missing = [name for name in ("vocab_size", "pad_id") if name not in facts]
    if missing:
        raise ValueError(f"a text encoder needs {missing} in its facts, which have {sorted(facts)}")
    return nn.Embedding(facts["vocab_size"], dim, padding_idx=facts["pad_id"])


def _check(minimum: dict[str, int], dropout: float = 0.0) -> None:
    for name, value in minimum.items():
        if value < 1:
            raise ValueError(f"{name} {value} must be at least 1")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout {dropout} must be at least 0 and below 1")


class BagOfWords(Encoder):
    """Word vectors without any order, to see what order is worth.

    Args:
        dim: width of a token.

    >>> import torch
    >>> encoder = BagOfWords(8)
    >>> encoder.build({"vocab_size": 10, "pad_id": 0})
    >>> encoder(Modality(torch.ones(2, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.bool))).x.shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, dim: int = 256) -> None:
        super().__init__()
        _check({"dim": dim})
        self.dim = self.width = dim

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``vocab_size`` and ``pad_id``."""
        self.embedding = embed(facts, self.dim)

    def forward(self, modality: Modality) -> Tokens:
        """Ids (B, L) -> Tokens of (B, L, dim), zero where padded."""
        return Tokens(self.embedding(modality.data) * modality.mask[..., None], modality.mask)


class RNNText(Encoder):
    """LSTM (Hochreiter and Schmidhuber 1997) or GRU (Cho et al. 2014) over the real words only.

    Args:
        dim: width of a token; both directions together.
        kind: ``"lstm"`` or ``"gru"``.
        num_layers: recurrent layers.
        bidirectional: read both ways, each ``dim // 2`` wide.
        dropout: on the word vectors and between layers.
        embedding_dim: width of the word vectors; None for ``dim``.

    >>> import torch
    >>> encoder = RNNText(8)
    >>> encoder.build({"vocab_size": 10, "pad_id": 0})
    >>> encoder(Modality(torch.ones(2, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.bool))).x.shape
    torch.Size([2, 5, 8])
    """

    def __init__(
        self,
        dim: int = 256,
        *,
        kind: str = "lstm",
        num_layers: int = 1,
        bidirectional: bool = True,
        dropout: float = 0.0,
        embedding_dim: int | None = None,
    ) -> None:
        super().__init__()
        _check({"dim": dim, "num_layers": num_layers, "embedding_dim": embedding_dim or dim}, dropout)
        if kind not in RNNS:
            raise ValueError(f"kind {kind!r} is none of {sorted(RNNS)}")
        if bidirectional and dim % 2:
            raise ValueError(f"dim {dim} must be even when bidirectional")
        self.dim = self.width = dim
        self.kind = kind
        self.num_layers = num_layers
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.embedding_dim = embedding_dim

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``vocab_size`` and ``pad_id``."""
        words = self.embedding_dim or self.dim
        self.embedding = embed(facts, words)
        self.drop = nn.Dropout(self.dropout)
        self.rnn = RNNS[self.kind](
            words,
            self.dim // 2 if self.bidirectional else self.dim,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            dropout=self.dropout if self.num_layers > 1 else 0.0,
            batch_first=True,
        )

    def forward(self, modality: Modality) -> Tokens:
        """Ids (B, L) -> Tokens of (B, L, dim), zero where padded, wherever the padding is."""
        mask = modality.mask
        order = (~mask).long().argsort(dim=1, stable=True)  # real words first
        words = self.drop(self.embedding(modality.data.gather(1, order)))
        x = run_rnn(self.rnn, words, mask.gather(1, order))
        x = x.gather(1, order.argsort(dim=1)[..., None].expand_as(x))
        return Tokens(x * mask[..., None], mask)


class TransformerText(Encoder):
    """Pre-norm transformer (Vaswani et al. 2017) with sinusoid positions.

    Args:
        dim: width of a token; even, a multiple of ``num_heads``.
        num_layers: transformer blocks.
        num_heads: attention heads of a block.
        dropout: on the word vectors and within the blocks.

    >>> import torch
    >>> encoder = TransformerText(8, num_layers=1, num_heads=2)
    >>> encoder.build({"vocab_size": 10, "pad_id": 0})
    >>> encoder(Modality(torch.ones(2, 5, dtype=torch.long), torch.ones(2, 5, dtype=torch.bool))).x.shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, dim: int = 256, *, num_layers: int = 4, num_heads: int = 4, dropout: float = 0.0) -> None:
        super().__init__()
        _check({"dim": dim, "num_layers": num_layers, "num_heads": num_heads}, dropout)
        if dim % 2 or dim % num_heads:
            raise ValueError(f"dim {dim} must be even and a multiple of num_heads {num_heads}")
        self.dim = self.width = dim
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.dropout = dropout

    def build(self, facts: Facts) -> None:
        """Make the weights. Reads ``vocab_size`` and ``pad_id``."""
        self.embedding = embed(facts, self.dim)
        self.drop = nn.Dropout(self.dropout)
        self.blocks = nn.ModuleList(
            Block(self.dim, self.num_heads, dropout=self.dropout) for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(self.dim)

    def forward(self, modality: Modality) -> Tokens:
        """Ids (B, L) -> Tokens of (B, L, dim), zero where padded."""
        ids, mask = modality
        x: Tensor = self.embedding(ids)
        place = (mask.cumsum(dim=1) - 1).clamp(min=0)  # counts real words, so padding in front changes nothing
        x = self.drop(x + sinusoids(ids.shape[1], self.dim).to(x)[place])
        for block in self.blocks:
            x, _ = block(x, mask)
        return Tokens(self.norm(x) * mask[..., None], mask)
