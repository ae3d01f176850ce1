"""A symbol or a blank for every token."""

import itertools
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchaudio.functional import forced_align


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
    """A decoded sample: symbols, at which tokens each starts and ends (exclusive), mean log probability of a token."""

    ids: list[int]
    starts: list[int]
    ends: list[int]
    score: float


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


def align(log_probs: Tensor, ids: list[int], blank: int) -> Path | None:
    """The likeliest path of one recording that writes these symbols; None where there are none or they do not fit.

    log_probs: (N, V) of real tokens.
    """
    needed = len(ids) + sum(one == other for one, other in itertools.pairwise(ids))
    if not ids or needed > len(log_probs) or blank in ids or max(ids) >= log_probs.shape[1]:
        return None
    symbols, scores = forced_align(log_probs[None], torch.tensor([ids], device=log_probs.device), blank=blank)
    return _join(symbols[0].tolist(), blank, float(scores[0].mean()))


def _join(symbols: list[int], blank: int, score: float) -> Path:
    path = Path([], [], [], score)
    position = 0
    for symbol, run in itertools.groupby(symbols):
        end = position + len(list(run))
        if symbol != blank:
            path.ids.append(symbol)
            path.starts.append(position)
            path.ends.append(end)
        position = end
    return path
