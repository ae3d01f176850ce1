"""Multi-modal attention: every token reads all other modalities once, by a score of choice."""

import torch
from torch import Tensor, nn

from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.fusion.scores import make_score
from mmtasks.types import Fused, Tokens

PRODUCTS = ("elementwise", "outer")


class MMAN(Fusion):
    """One layer of attention from each token to the real tokens of all OTHER modalities.

    alpha_ij = softmax over j of score(h_i, h_j), j in the other modalities; context_i = sum_j alpha_ij h_j;
    token i becomes LayerNorm(Linear([h_i ; context_i ; h_i (x) context_i])), the Linear shared by all modalities.
    The product is linear in its right side, so this equals summing alpha_ij [h_i ; h_j ; h_i (x) h_j] over j.
    A token with nothing to read (one modality alone, or the others absent) has a context of zeros.

    Args:
        score: a name in ``mmtasks.fusion.scores.SCORES``.
        product: "elementwise" (Kim et al. 2017), or "outer": the outer product (Zadeh et al. 2017) of both sides
            projected to ``rank``, flattened.
        rank: width of each side of the outer product; >= 1; unused by "elementwise".
        dropout: on the concatenation before the Linear; in [0, 1).

    >>> fusion = MMAN(product="outer", rank=2)
    >>> fusion.build(8)
    >>> mask = torch.ones(1, 3, dtype=torch.bool)
    >>> fusion({"text": Tokens(torch.zeros(1, 3, 8), mask), "image": Tokens(torch.zeros(1, 3, 8), mask)}).x.shape
    torch.Size([1, 6, 8])
    """

    def __init__(
        self, score: str = "scaled_dot", *, product: str = "elementwise", rank: int = 16, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if product not in PRODUCTS:
            raise ValueError(f"unknown product {product!r}; allowed: {', '.join(PRODUCTS)}")
        if rank < 1:
            raise ValueError(f"rank must be >= 1, got {rank}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), got {dropout}")
        self.scorer = make_score(score)
        self.score = score
        self.product = product
        self.rank = rank
        self.dropout = dropout

    def build(self, dim: int) -> None:
        """Make the weights for tokens of width ``dim``."""
        self.scorer.build(dim)
        if self.product == "outer":
            self.left = nn.Linear(dim, self.rank, bias=False)
            self.right = nn.Linear(dim, self.rank, bias=False)
        width = self.rank**2 if self.product == "outer" else dim
        self.drop = nn.Dropout(self.dropout)
        self.project = nn.Linear(2 * dim + width, dim)
        self.norm = nn.LayerNorm(dim)

    def combine(self, h: Tensor, context: Tensor) -> Tensor:
        """h (..., D), context (..., D) -> [h ; context ; h (x) context] (..., 2 D + D or rank squared)."""
        if self.product == "outer":
            product = (self.left(h).unsqueeze(-1) * self.right(context).unsqueeze(-2)).flatten(-2)
        else:
            product = h * context
        return torch.cat([h, context, product.to(h.dtype)], dim=-1)

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, D) of each modality -> Fused (B, N, D); attention (B, N, N) if ``need_weights``.

        Attention is zero within a modality; a real token's row sums to 1, or to 0 if it had nothing to read.
        """
        x, mask, spans, _ = concatenate(tokens)
        real = mask.unsqueeze(-1)
        x = x.masked_fill(~real, 0)
        contexts, rows = [], []
        for span in spans.values():
            others = torch.cat([x[:, : span.start], x[:, span.stop :]], dim=1)
            alpha = self._attend(x[:, span], others, torch.cat([mask[:, : span.start], mask[:, span.stop :]], dim=1))
            contexts.append(alpha @ others)
            if need_weights:
                own = alpha.new_zeros(*alpha.shape[:2], span.stop - span.start)
                rows.append(torch.cat([alpha[..., : span.start], own, alpha[..., span.start :]], dim=-1))
        fused = self.norm(self.project(self.drop(self.combine(x, torch.cat(contexts, dim=1).to(x.dtype)))))
        attention = torch.cat(rows, dim=1) * real if need_weights else None
        return Fused(fused.masked_fill(~real, 0), mask, spans, attention)

    def _attend(self, query: Tensor, key: Tensor, key_mask: Tensor) -> Tensor:
        """query (B, N, D), key (B, M, D), key_mask (B, M) -> alpha (B, N, M), zeros where no key is real."""
        scores = self.scorer(query, key)
        allowed = key_mask[:, None, :]
        return scores.masked_fill(~allowed, torch.finfo(scores.dtype).min).softmax(dim=-1) * allowed
