"""Samples of one modality to a padded batch."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmtasks.errors import UserError
from mmtasks.types import Modality, Tokens


def pad(items: list[Tensor], *, value: float = 0, least: int = 0) -> tuple[Tensor, Tensor]:
    """Tensors (T_i, …) -> data (B, T, …) filled with ``value``, mask (B, T); T is max T_i, and ``least`` or more.

    Raises:
        UserError: what follows T_i differs.
    """
    shapes = sorted({tuple(item.shape[1:]) for item in items})
    if len(shapes) > 1:
        first, second = (" x ".join(map(str, shape)) for shape in shapes[:2])
        raise UserError(
            f"samples of {first} and of {second} are in one batch: bring all to one size, pictures by the image step "
            "{Resize: [H, W]}"
        )
    longest = max(least, *(len(item) for item in items))
    data = items[0].new_full((len(items), longest, *items[0].shape[1:]), value)
    mask = torch.zeros(len(items), longest, dtype=torch.bool)
    for row, item in enumerate(items):
        data[row, : len(item)] = item
        mask[row, : len(item)] = True
    return data, mask


def pad_modality(items: list[Tensor], *, value: float = 0) -> Modality:
    """Raw samples (T_i, …) -> Modality (B, max T, …)."""
    return Modality(*pad(items, value=value))


def pad_films(films: Sequence[Tensor | None], step: Sequence[int]) -> Modality:
    """Steps (F_i, …) of films, None where there is none -> Modality (B, F, …), at least one step long.

    step: the shape of one, for when there is no film at all.
    """
    absent = torch.zeros(0, *step)
    return Modality(*pad([absent if film is None else film for film in films], least=1))


def pad_texts(texts: list[Tensor], pad_id: int) -> Modality:
    """Ids (L_i,), of some none -> Modality (B, L), at least one long."""
    return Modality(*pad(texts, value=pad_id, least=1))


def pad_tokens(items: list[Tensor]) -> Tokens:
    """Features (N_i, D) of a frozen encoder -> Tokens (B, max N, D)."""
    return Tokens(*pad(items))
