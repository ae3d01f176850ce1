"""Losses, each normalised over the global batch."""

import torch
import torch.nn.functional as F
from torch import Tensor

from mmtasks.distributed import gather, global_mean


def softmax_contrastive(image: Tensor, text: Tensor, image_index: Tensor, text_index: Tensor, scale: Tensor) -> Tensor:
    """InfoNCE both ways (Radford et al. 2021), over all processes' samples; a positive is any pair of equal index.

    image (B, D) and text (C, D) of unit length; image_index (B,), text_index (C,) number the picture each belongs to;
    scale: the inverse temperature. Returns a scalar.
    """
    all_image, all_text = gather(image), gather(text)
    all_image_index, all_text_index = gather(image_index), gather(text_index)
    to_text = _cross_entropy(scale * image @ all_text.T, image_index[:, None] == all_text_index[None])
    to_image = _cross_entropy(scale * text @ all_image.T, text_index[:, None] == all_image_index[None])
    return (global_mean(to_text.sum(), len(image)) + global_mean(to_image.sum(), len(text))) / 2


def sigmoid_contrastive(
    image: Tensor, text: Tensor, image_index: Tensor, text_index: Tensor, scale: Tensor, bias: Tensor
) -> Tensor:
    """The pairwise sigmoid loss (Zhai et al. 2023): every pair of the global batch is one binary decision.

    Shapes as in softmax_contrastive; bias: a learned offset. Normalised by the number of images. Returns a scalar.
    """
    logits = scale * image @ gather(text).T + bias  # [B, world * C]
    positive = image_index[:, None] == gather(text_index)[None]
    terms = F.binary_cross_entropy_with_logits(logits, positive.to(logits.dtype), reduction="sum")
    return global_mean(terms, len(image))


def ctc(log_probs: Tensor, mask: Tensor, targets: Tensor, lengths: Tensor, blank: int) -> Tensor:
    """Connectionist temporal classification (Graves et al. 2006), for each target symbol of the global batch.

    log_probs (B, N, V), mask (B, N) with the real tokens first, targets (B, L), lengths (B,) of the targets. A target
    too long for its tokens costs nothing. Returns a scalar.
    """
    total = F.ctc_loss(
        log_probs.transpose(0, 1),
        targets,
        mask.sum(dim=1),
        lengths,
        blank=blank,
        reduction="sum",
        zero_infinity=True,
    )
    return global_mean(total, lengths.sum())


def with_end(ids: Tensor, lengths: Tensor, end: int) -> Tensor:
    """Padded ids (B, L) of ``lengths`` (B,) -> (B, L + 1), ``end`` after the last of each.

    >>> with_end(torch.tensor([[1, 2], [3, 0]]), torch.tensor([2, 1]), 9).tolist()
    [[1, 2, 9], [3, 9, 0]]
    """
    return F.pad(ids, (0, 1)).scatter(1, lengths[:, None], end)


def next_symbol(logits: Tensor, targets: Tensor, lengths: Tensor, smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of a decoder, for each target symbol of the global batch.

    logits (B, L, W), targets (B, L), lengths (B,) of the targets, smoothing: the share of a target that is spread over
    all symbols (Szegedy et al. 2016). Returns a scalar.
    """
    real = torch.arange(targets.shape[1], device=targets.device) < lengths[:, None]
    total = F.cross_entropy(logits[real].float(), targets[real], label_smoothing=smoothing, reduction="sum")
    return global_mean(total, lengths.sum())


def _cross_entropy(logits: Tensor, positive: Tensor) -> Tensor:
    """logits (B, C), positive (B, C) bool with at least one True a row -> (B,), positives sharing the mass equally."""
    target = positive.to(logits.dtype)
    return -(target / target.sum(dim=1, keepdim=True) * torch.log_softmax(logits, dim=1)).sum(dim=1)
