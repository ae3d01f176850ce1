"""Losses of importance scores, each normalised over the global batch. Shapes: scores, target, mask (B, T)."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmtasks.distributed import global_mean
from mmtasks.layers import masked_mean

PAIRS = 8
"""Other steps that each step is compared with: all pairs of an hour of video would not fit into memory."""
SHARP = 10.0
"""How much nearer steps count more in a soft maximum of cosines."""
CENTRES = 256
"""Steps of a video that stand for it in the unsupervised loss, evenly spread over it; all where it has fewer."""


def regression(scores: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Squared error of each real step."""
    return global_mean(((scores - target).square() * mask).sum(), mask.sum())


def correlation(scores: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """One minus Pearson's correlation of each video: the order and the shape of the curve, whatever its level."""
    mine, true = (_centred(x, mask) for x in (scores, target))
    r = (mine * true).sum(dim=1) / (mine.norm(dim=1) * true.norm(dim=1)).clamp(min=1e-6)
    judged = mask.any(dim=1)
    return global_mean(((1 - r) * judged).sum(), judged.sum())


def ranking(logits: Tensor, target: Tensor, mask: Tensor) -> Tensor:
    """Logistic loss of pairs of steps (RankNet, Burges et al. 2005), weighted by how far apart the truths are.

    Each step is compared with those at ``PAIRS`` random distances, each a share of its own video's length.
    """
    steps = torch.arange(logits.shape[1], device=logits.device)
    lengths = mask.sum(dim=1, keepdim=True)
    total, weights = logits.new_zeros(()), logits.new_zeros(())
    for share in torch.rand(PAIRS, device=logits.device):
        other = steps + 1 + (share * (lengths - 1).clamp(min=0)).long()  # [B, T]
        both = mask & (other < lengths)
        other = other.clamp(max=logits.shape[1] - 1)
        apart = (target.gather(1, other) - target) * both
        difference = logits.gather(1, other) - logits
        total = total + (apart.abs() * F.softplus(-difference * apart.sign())).sum()
        weights = weights + apart.abs().sum()
    return global_mean(total, weights.detach())


def unsupervised(logits: Tensor, features: Tensor, mask: Tensor, *, budget: float) -> Tensor:
    """The mean of ``unlikeness`` over videos."""
    real = mask.any(dim=1)
    return global_mean((unlikeness(logits, features, mask, budget=budget) * real).sum(), real.sum())


def unlikeness(logits: Tensor, features: Tensor, mask: Tensor, *, budget: float) -> Tensor:
    """For videos that nobody judged: few steps that everything else resembles, as little alike as possible; (B,).

    Representativeness and diversity (Zhou et al. 2018), here differentiable: with the steps' scores as odds of being
    chosen, each step should be near to a chosen one, chosen ones far from each other, and a share of ``budget`` chosen.

    logits (B, T), features (B, T, D) of the steps, mask (B, T), budget 0–1.
    """
    pick, mask = _centres(mask)
    logits, features = logits.gather(1, pick), features.detach().take_along_dim(pick[..., None], dim=1)
    x = F.normalize(features.float(), dim=-1) * mask[..., None]  # detached: else the features would be learned
    alike = x @ x.transpose(1, 2)  # [B, C, C], cosines
    odds = logits.masked_fill(~mask, -1e4)
    sharp = (SHARP * alike + F.logsigmoid(odds)[:, None]).softmax(dim=2)
    near = (sharp * alike).sum(dim=2)  # a soft maximum over chosen steps, at most 1
    chosen = torch.sigmoid(logits) * mask
    share = chosen.sum(dim=1) / mask.sum(dim=1).clamp(min=1)
    pairs = chosen[:, :, None] * chosen[:, None]
    off = 1 - torch.eye(pick.shape[1], device=x.device)
    repeated = (pairs * alike * off).sum(dim=(1, 2)) / (pairs * off).sum(dim=(1, 2)).clamp(min=1e-6)
    uncovered = masked_mean((1 - near)[..., None], mask).squeeze(-1)
    return uncovered + repeated + (share - budget).square()


def _centres(mask: Tensor) -> tuple[Tensor, Tensor]:
    """The steps (B, C) that stand for each video, by its own length, and which of them are real (B, C) bool."""
    lengths = mask.sum(dim=1, keepdim=True)
    counts = lengths.clamp(max=CENTRES)
    k = torch.arange(min(mask.shape[1], CENTRES), device=mask.device).expand(len(mask), -1)
    pick = (k * (lengths - 1) // (counts - 1).clamp(min=1)).clamp(min=0, max=mask.shape[1] - 1)
    return pick, mask.gather(1, pick) & (k < counts)


def _centred(x: Tensor, mask: Tensor) -> Tensor:
    """Minus the mean of the real steps; zero where padded."""
    return (x - masked_mean(x[..., None], mask)) * mask
