"""A symbol or a blank for every token."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import forced_align

from mmtasks.data.tokenizer import ctc_length


class CTCHead(nn.Module):
    """Tokens to log probabilities of the vocabulary (Graves et al. 2006).

    >>> import torch
    >>> CTCHead(8, 30)(torch.zeros(2, 5, 8)).shape
    torch.Size([2, 5, 30])
    """

    def __init__(self, dim: int, vocab_size: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.out = nn.Linear(dim, vocab_size)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, N, D) -> (B, N, V), float32."""
        return F.log_softmax(self.out(self.drop(x)).float(), dim=-1)


class Path(NamedTuple):
    """A decoded sample: symbols, at which tokens each starts and ends (exclusive), mean log probability of a token.

    words: as a language model of words spells them; None where the symbols alone say it.
    """

    ids: list[int]
    starts: list[int]
    ends: list[int]
    score: float
    words: tuple[str, ...] | None = None


def greedy(log_probs: Tensor, mask: Tensor, blank: int) -> list[Path]:
    """The best symbol of each real token, repeats joined, blanks dropped: (B, N, V), (B, N) -> a path of each sample.

    >>> import torch
    >>> best = torch.nn.functional.one_hot(torch.tensor([[1, 1, 0, 1, 2]]), 3).float()
    >>> path = greedy(best, torch.tensor([[True, True, True, True, False]]), 0)[0]
    >>> path.ids, path.starts, path.ends
    ([1, 1], [0, 3], [2, 4])
    """
    values, symbols = log_probs.max(dim=-1)
    symbols = symbols.masked_fill(~mask, blank)
    scores = (values * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    return [_join(row.tolist(), blank, float(score)) for row, score in zip(symbols, scores, strict=True)]


def align(log_probs: Tensor, ids: Sequence[int], blank: int) -> Path | None:
    """The likeliest path of one recording that writes these symbols; None where there are none or they do not fit.

    log_probs: (N, V) of real tokens.

    >>> import torch
    >>> log_probs = torch.tensor([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]]).log()
    >>> align(log_probs, [1, 2], 0)[:3]
    ([1, 2], [1, 3], [3, 4])
    """
    if not ids or ctc_length(ids) > len(log_probs) or blank in ids or max(ids) >= log_probs.shape[1]:
        return None
    targets = torch.tensor([list(ids)], device=log_probs.device)
    symbols, scores = forced_align(log_probs[None].contiguous(), targets, blank=blank)
    return _join(symbols[0].tolist(), blank, float(scores[0].mean()))


def append(path: Path, symbols: Sequence[int], start: int, last: int, blank: int) -> int:
    """Add the symbols of further tokens, the first of them number ``start``, to a path.

    ``last`` is the symbol of the token before: one that goes on adds nothing but its end. Returns the last symbol.
    """
    for position, symbol in enumerate(symbols, start=start):
        if symbol != blank and symbol == last and path.ends:
            path.ends[-1] = position + 1
        elif symbol != blank and symbol != last:
            path.ids.append(symbol)
            path.starts.append(position)
            path.ends.append(position + 1)
        last = symbol
    return last


def _join(symbols: list[int], blank: int, score: float) -> Path:
    path = Path([], [], [], score)
    append(path, symbols, 0, blank, blank)
    return path
