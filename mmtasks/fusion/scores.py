"""How much one token has to do with another: the score inside attention, before softmax."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Score(nn.Module):
    """Base class. Constructors store their arguments under the same names; ``build`` makes the weights, if any."""

    def __init__(self) -> None:
        super().__init__()

    def build(self, dim: int) -> None:
        """Make the weights for tokens of width ``dim``. A score without weights has nothing to do."""

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D) -> unnormalised scores (B, N, M)."""
        raise NotImplementedError(f"{type(self).__name__}.forward")


class DotScore(Score):
    """q . k (Luong et al. 2015, "dot").

    >>> DotScore()(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
    torch.Size([1, 3, 5])
    """

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D) -> (B, N, M)."""
        return query @ key.transpose(-1, -2)


class ScaledDotScore(Score):
    """q . k / sqrt(D) (Vaswani et al. 2017).

    >>> ScaledDotScore()(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
    torch.Size([1, 3, 5])
    """

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D) -> (B, N, M)."""
        return query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])


class CosineScore(Score):
    """temperature * cos(q, k), the factor learned and kept positive (content addressing of Graves et al. 2014).

    Args:
        temperature: the factor before training; > 0.

    >>> score = CosineScore()
    >>> score.build(8)
    >>> score(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
    torch.Size([1, 3, 5])
    """

    def __init__(self, temperature: float = 10.0) -> None:
        super().__init__()
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be > 0 and finite, got {temperature}")
        self.temperature = temperature

    def build(self, dim: int) -> None:
        """Make the one weight, the logarithm of the factor."""
        self.log_temperature = nn.Parameter(torch.tensor([math.log(self.temperature)]))

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D) -> (B, N, M); 0 for a token of zeros."""
        query, key = F.normalize(query, dim=-1, eps=1e-6), F.normalize(key, dim=-1, eps=1e-6)
        return self.log_temperature.exp() * (query @ key.transpose(-1, -2))


class BilinearScore(Score):
    """q' W k (Luong et al. 2015, "general"); W starts small enough that unit-variance tokens score about 1.

    >>> score = BilinearScore()
    >>> score.build(8)
    >>> score(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
    torch.Size([1, 3, 5])
    """

    def build(self, dim: int) -> None:
        """Make W, (dim, dim)."""
        self.weight = nn.Parameter(torch.randn(dim, dim) / dim)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D) -> (B, N, M)."""
        return query @ self.weight @ key.transpose(-1, -2)


class AdditiveScore(Score):
    """v . tanh(W q + U k) (Bahdanau et al. 2015). Memory is B * N * M * hidden, so ``hidden`` stays small.

    Args:
        hidden: width inside the tanh; >= 1.

    >>> score = AdditiveScore(hidden=4)
    >>> score.build(8)
    >>> score(torch.zeros(1, 3, 8), torch.zeros(1, 5, 8)).shape
    torch.Size([1, 3, 5])
    """

    def __init__(self, hidden: int = 64) -> None:
        super().__init__()
        if hidden < 1:
            raise ValueError(f"hidden must be >= 1, got {hidden}")
        self.hidden = hidden

    def build(self, dim: int) -> None:
        """Make W, U (dim -> hidden) and v (hidden -> 1)."""
        self.query = nn.Linear(dim, self.hidden)
        self.key = nn.Linear(dim, self.hidden, bias=False)
        self.value = nn.Linear(self.hidden, 1, bias=False)

    def forward(self, query: Tensor, key: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D) -> (B, N, M)."""
        both = self.query(query)[:, :, None] + self.key(key)[:, None]  # [B, N, M, hidden]
        return self.value(both.tanh_()).squeeze(-1)


SCORES: dict[str, type[Score]] = {
    "dot": DotScore,
    "scaled_dot": ScaledDotScore,
    "cosine": CosineScore,
    "bilinear": BilinearScore,
    "additive": AdditiveScore,
}


def make_score(name: str) -> Score:
    """The score of that name, not yet built. ValueError if there is none."""
    if name not in SCORES:
        raise ValueError(f"unknown score {name!r}; allowed: {', '.join(sorted(SCORES))}")
    return SCORES[name]()
