"""Do two modalities belong together?"""

import torch
from torch import Tensor, nn

from mmtasks.layers import masked_max, masked_mean
from mmtasks.types import Fused


class MatchingHead(nn.Module):
    """Fused tokens of two modalities -> scores of K classes (softmax over them is left to the loss).

    >>> x, mask = torch.zeros(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)
    >>> MatchingHead(8, 2)(Fused(x, mask, {"image": slice(0, 3), "text": slice(3, 5)})).shape
    torch.Size([2, 2])
    """

    def __init__(self, dim: int, num_classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4 * dim, dim), nn.GELU(), nn.Dropout(dropout), nn.Linear(dim, num_classes)
        )

    def forward(self, fused: Fused) -> Tensor:
        """Fused (B, N, D) with the spans of two modalities -> (B, K) scores."""
        pooled = []
        for name in sorted(fused.spans):
            x, mask = fused.x[:, fused.spans[name]], fused.mask[:, fused.spans[name]]
            pooled += [masked_mean(x, mask), masked_max(x, mask)]
        return self.layers(torch.cat(pooled, dim=-1))
