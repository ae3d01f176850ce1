"""Do two modalities belong together?"""

import torch
from torch import Tensor, nn

from mmtasks.layers import masked_max, masked_mean
from mmtasks.types import Fused


class MatchingHead(nn.Module):
    """Fused tokens of two modalities -> scores of K classes (softmax over them is left to the loss).

    Args:
        dim: width of a token.
        num_classes: K.
        compare: read the mean of each modality, their product and their difference (Conneau et al. 2017), and add the
            mean of what each token scores alone; otherwise read the mean and the maximum of each modality.
        dropout: before the last layer.

    >>> x, mask = torch.zeros(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> MatchingHead(8, 2)(Fused(x, mask, {"image": slice(0, 3), "text": slice(3, 5)})).shape
    torch.Size([2, 2])
    """

    def __init__(self, dim: int, num_classes: int, *, compare: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.compare = compare
        self.layers = _two_layers(4 * dim, dim, num_classes, dropout)
        if compare:
            self.token_layers = nn.ModuleList(_two_layers(dim, dim, num_classes, dropout) for _ in range(2))

    def forward(self, fused: Fused) -> Tensor:
        """Fused (B, N, D) with the spans of two modalities -> (B, K) scores."""
        parts = [(fused.x[:, span], fused.mask[:, span]) for _, span in sorted(fused.spans.items())]
        means = [masked_mean(x, mask) for x, mask in parts]
        if not self.compare:
            pooled = [value for mean, part in zip(means, parts, strict=True) for value in (mean, masked_max(*part))]
            return self.layers(torch.cat(pooled, dim=-1))
        one, other = means
        whole = self.layers(torch.cat([one, other, one * other, (one - other).abs()], dim=-1))
        return whole + sum(
            masked_mean(score(x), mask) for score, (x, mask) in zip(self.token_layers, parts, strict=True)
        )


def _two_layers(width: int, dim: int, num_classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(dim, num_classes))
