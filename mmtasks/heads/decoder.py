"""Heads that write a text, symbol after symbol, while they read the tokens of a recording."""

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmtasks.layers import Attention, sinusoids
from mmtasks.types import Facts, Tokens


class Decoder(nn.Module):
    """Base class: the distribution of each next symbol of a text. ``build`` makes the weights.

    ``end`` is the symbol after the last one of a text; ``max_length`` is the longest text that can be written. A
    decoder begins texts by itself: neither its input nor its output holds a symbol for the start. States are opaque,
    and used up by the call that takes them.
    """

    end: int
    max_length: int

    def build(self, dim: int, facts: Facts) -> None:
        """Make the weights for tokens of width ``dim``, with the facts of all modalities."""
        raise NotImplementedError(f"{type(self).__name__}.build")

    def learned_facts(self) -> Facts:
        """Plain values that ``build`` needs to make the same weights again without the original files."""
        return {}

    def forward(self, ids: Tensor, memory: Tokens) -> Tensor:
        """Texts (B, L), memory (B, N, D) -> logits (B, L + 1, W): of the first symbol, and of what follows each."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def begin(self, memory: Tokens) -> tuple[Tensor, Any]:
        """Memory (B, N, D) -> log probabilities (B, W) of the first symbol, and the state for ``step``."""
        raise NotImplementedError(f"{type(self).__name__}.begin")

    def step(self, ids: Tensor, state: Any) -> tuple[Tensor, Any]:
        """The symbols (B,) that were chosen -> log probabilities (B, W) of what follows, and the state after them."""
        raise NotImplementedError(f"{type(self).__name__}.step")

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """The state of a batch made of these rows (B',) of the old one, which may come several times or not at all."""
        raise NotImplementedError(f"{type(self).__name__}.reorder")


class Pairs(NamedTuple):
    """Keys and values, each (B, H, M, Dh): of what is written so far, and of the memory."""

    written: tuple[Tensor, Tensor]
    memory: tuple[Tensor, Tensor]


class State(NamedTuple):
    """What a TransformerDecoder remembers. mask: (B, N) of the memory."""

    layers: list[Pairs]
    mask: Tensor


class TransformerDecoder(Decoder):
    """Pre-norm transformer decoder (Vaswani et al. 2017), trained from scratch.

    One symbol beyond the vocabulary stands before every text and after it.

    Args:
        num_layers: of self-attention, attention to the memory and a feed-forward layer.
        num_heads: attention heads; must divide the backbone's ``dim``.
        mlp_ratio: feed-forward width over ``dim``.
        dropout: on the embedded symbols and the residuals; in [0, 1).
        max_length: the longest text in symbols.

    >>> decoder = TransformerDecoder(1, num_heads=2)
    >>> decoder.build(8, {"transcript": {"vocab_size": 30}})
    >>> decoder(torch.zeros(2, 4, dtype=torch.long), Tokens(torch.zeros(2, 5, 8), torch.ones(2, 5) > 0)).shape
    torch.Size([2, 5, 31])
    """

    def __init__(
        self,
        num_layers: int = 4,
        *,
        num_heads: int = 4,
        mlp_ratio: float = 4.0,
        dropout: float = 0.1,
        max_length: int = 448,
    ) -> None:
        super().__init__()
        if min(num_layers, num_heads, max_length) < 1 or mlp_ratio <= 0:
            raise ValueError("num_layers, num_heads and max_length must be at least 1, mlp_ratio above 0")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout {dropout} must be at least 0 and below 1")
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.max_length = max_length

    def build(self, dim: int, facts: Facts) -> None:
        """Make the weights. Reads ``vocab_size`` of the transcripts."""
        self.end = facts["transcript"]["vocab_size"]
        self.embed = nn.Embedding(self.end + 1, dim)
        nn.init.normal_(self.embed.weight, std=dim**-0.5)
        self.drop = nn.Dropout(self.dropout)
        self.layers = nn.ModuleList(
            DecoderLayer(dim, self.num_heads, mlp_ratio=self.mlp_ratio, dropout=self.dropout)
            for _ in range(self.num_layers)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(self, ids: Tensor, memory: Tokens) -> Tensor:
        """Texts (B, L), memory (B, N, D) -> logits (B, L + 1, V + 1)."""
        x = self._embed(F.pad(ids, (1, 0), value=self.end), 0)
        for layer in self.layers:
            x = layer(
                x,
                Pairs(layer.attention.remember(layer.norm_attention(x)), layer.reading.remember(memory.x)),
                memory.mask,
            )
        return F.linear(self.norm(x), self.embed.weight)

    def begin(self, memory: Tokens) -> tuple[Tensor, State]:
        """Memory (B, N, D) -> log probabilities (B, V + 1) of the first symbol, and the state."""
        layers = []
        for layer in self.layers:
            key, value = remembered = layer.reading.remember(memory.x)
            layers.append(Pairs((key[:, :, :0], value[:, :, :0]), remembered))
        start = torch.full((len(memory.x),), self.end, device=memory.x.device)
        return self.step(start, State(layers, memory.mask))

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """Symbols (B,) -> log probabilities (B, V + 1), and the state."""
        x, layers = self._embed(ids[:, None], state.layers[0].written[0].shape[2]), []
        for layer, pairs in zip(self.layers, state.layers, strict=True):
            new = layer.attention.remember(layer.norm_attention(x))
            key, value = (torch.cat(both, dim=2) for both in zip(pairs.written, new, strict=True))
            layers.append(Pairs((key, value), pairs.memory))
            x = layer(x, layers[-1], state.mask, causal=False)
        logits = F.linear(self.norm(x[:, 0]), self.embed.weight)
        return logits.float().log_softmax(dim=-1), State(layers, state.mask)

    def reorder(self, state: State, rows: Tensor) -> State:
        """Take rows of everything."""
        layers = [Pairs(*((key[rows], value[rows]) for key, value in pairs)) for pairs in state.layers]
        return State(layers, state.mask[rows])

    def _embed(self, ids: Tensor, start: int) -> Tensor:
        """Symbols (B, L), the first at position ``start`` -> (B, L, D)."""
        x = self.embed(ids)
        scale = x.shape[-1] ** 0.5  # the weights also make the logits, for which they must be small
        positions = sinusoids(start + ids.shape[1], x.shape[-1])[start:].to(x)
        return self.drop(x * scale + positions)


class DecoderLayer(nn.Module):
    """Self-attention, attention to the memory, a feed-forward layer, each normed before and residual."""

    def __init__(self, dim: int, num_heads: int, *, mlp_ratio: float, dropout: float) -> None:
        super().__init__()
        self.norm_attention, self.norm_reading, self.norm_mlp = (nn.LayerNorm(dim) for _ in range(3))
        self.attention = Attention(dim, num_heads, dropout=dropout)
        self.reading = Attention(dim, num_heads, dropout=dropout)
        hidden = int(dim * mlp_ratio)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.drop = nn.Dropout(dropout)

    def forward(self, x: Tensor, pairs: Pairs, memory_mask: Tensor, *, causal: bool = True) -> Tensor:
        """x (B, L, D), what it reads, memory_mask (B, N) -> (B, L, D); causal: x is all that is written so far."""
        x = x + self.drop(self.attention.read(self.norm_attention(x), pairs.written, causal=causal)[0])
        x = x + self.drop(self.reading.read(self.norm_reading(x), pairs.memory, memory_mask)[0])
        return x + self.drop(self.mlp(self.norm_mlp(x)))
