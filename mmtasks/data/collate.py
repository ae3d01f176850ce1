"""Samples of one modality to a padded batch."""

import torch
from torch import Tensor

from mmtasks.types import Modality, Tokens


def pad(items: list[Tensor], *, value: float = 0) -> tuple[Tensor, Tensor]:
    """Tensors (T_i, …) -> data (B, max T, …) filled with ``value``, mask (B, max T)."""
    longest = max(len(item) for item in items)
    data = items[0].new_full((len(items), longest, *items[0].shape[1:]), value)
    mask = torch.zeros(len(items), longest, dtype=torch.bool)
    for row, item in enumerate(items):
        data[row, : len(item)] = item
        mask[row, : len(item)] = True
    return data, mask


def pad_modality(items: list[Tensor], *, value: float = 0) -> Modality:
    """Raw samples (T_i, …) -> Modality (B, max T, …)."""
    return Modality(*pad(items, value=value))


def pad_tokens(items: list[Tensor]) -> Tokens:
    """Features (N_i, D) of a frozen encoder -> Tokens (B, max N, D)."""
    return Tokens(*pad(items))
