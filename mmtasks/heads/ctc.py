"""A symbol or a blank for every token."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CTCHead(nn.Module):
    """Tokens to log probabilities of the vocabulary (Graves et al. 2006).

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


def greedy(log_probs: Tensor, mask: Tensor, blank: int) -> list[list[int]]:
    """The best symbol of each real token, repeats joined, blanks dropped: (B, N, V), (B, N) -> ids of each sample.

    >>> best = torch.nn.functional.one_hot(torch.tensor([[1, 1, 0, 1, 2]]), 3).float()
    >>> greedy(best, torch.tensor([[True, True, True, True, False]]), 0)
    [[1, 1]]
    """
    best = log_probs.argmax(dim=-1).masked_fill(~mask, blank)
    joined = [torch.unique_consecutive(row).tolist() for row in best]
    return [[symbol for symbol in row if symbol != blank] for row in joined]
