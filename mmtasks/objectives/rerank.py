"""Order the best candidates of a query again by the matching head."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mmtasks.distributed import rank, world_size
from mmtasks.metrics.pairs import area_under_curve
from mmtasks.types import Fuse, Tokens

ScorePairs = Callable[[Tensor, Tensor], Tensor]
"""Positions of queries (P,) and of candidates (P,) -> log odds of a match (P,)."""


class PairScorer:
    """Log odds of a match for pairs out of a computed Gallery, scored in chunks to bound memory.

    ``objective`` has ``match`` and ``match_score`` as ImageText has them.
    """

    def __init__(self, objective: Any, gallery: dict[str, Tensor], fuse: Fuse, *, chunk: int = 512) -> None:
        self.objective = objective
        self.gallery = gallery
        self.fuse = fuse
        self.chunk = chunk

    def __call__(self, texts: Tensor, images: Tensor) -> Tensor:
        """Positions of captions (P,) and of images (P,) -> (P,)."""
        parts = []
        for text, image in zip(texts.split(self.chunk), images.split(self.chunk), strict=True):
            longest = max(1, int(self.gallery["text_mask"][text].sum(dim=1).max()))
            dtype = next(self.objective.parameters()).dtype  # embeddings made under autocast are of another
            tokens = {
                "image": Tokens(self.gallery["image_x"][image].to(dtype), self.gallery["image_mask"][image]),
                "text": Tokens(
                    self.gallery["text_x"][text, :longest].to(dtype), self.gallery["text_mask"][text, :longest]
                ),
            }
            parts.append(self.objective.match_score(self.objective.match(tokens, self.fuse)))
        return torch.cat(parts)


def rerank(scores: Tensor, k: int, mix: Tensor | float, score_pairs: ScorePairs) -> Tensor:
    """Order the best k of each query again by log odds + mix * score; the rest keep their order, below them.

    scores (Q, C) -> (Q, C). Each process does its share.
    """
    k = min(k, scores.shape[1])
    best = scores.topk(k, dim=1)
    mine = torch.arange(rank(), len(scores), world_size(), device=scores.device)
    queries = mine.repeat_interleave(k)
    candidates = best.indices[mine].flatten()
    log_odds = torch.zeros_like(best.values)
    log_odds[mine] = score_pairs(queries, candidates).view(-1, k).to(scores.dtype)
    if world_size() > 1:
        torch.distributed.all_reduce(log_odds)
    mixed = log_odds + mix * best.values
    floor = mixed.min() - 1 - scores.max()
    return (scores + floor).scatter(1, best.indices, mixed)


def pair_figures(positive: Tensor, score_pairs: ScorePairs) -> dict[str, Tensor]:
    """Accuracy and AUC of match or no match, on each caption with its image and with the next image in order."""
    texts = torch.arange(len(positive), device=positive.device)
    own = positive.float().argmax(dim=1)
    other = (own + 1) % positive.shape[1]
    score = torch.cat([score_pairs(texts, own), score_pairs(texts, other)])
    truth = torch.cat([torch.ones_like(own), torch.zeros_like(own)])
    return {
        "match_accuracy": ((score > 0).long() == truth).float().mean(),
        "match_auc": area_under_curve(score, truth),
    }
