"""Retrieval over a whole set: gather embeddings exactly, then rank."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torchmetrics import Metric

from mmtasks.metrics.gather import gather_uneven
from mmtasks.types import Tokens

DIMENSIONS = {
    **{"image": 2, "image_x": 3, "image_mask": 2, "image_index": 1},
    **{"text": 2, "text_x": 3, "text_mask": 2, "text_index": 1, "caption_index": 1},
}
"""Of each state of ``Gallery``."""


class Ranked(NamedTuple):
    """Captions (Q) against pictures (C): scores (Q, C), positive (Q, C) bool; which caption of which picture (Q,) each.

    text_index: the picture a caption belongs to; caption_index: its number among that picture's; image_index (C,).
    """

    scores: Tensor
    positive: Tensor
    text_index: Tensor
    caption_index: Tensor
    image_index: Tensor


class Gallery(Metric):
    """Every image and caption of a set, each once, whatever the number of processes and the size of the last batch.

    Args:
        max_length: text tokens are padded to this length, so that batches and processes agree.

    ``ranked`` keeps what the figures were last computed from.
    """

    full_state_update = False

    def __init__(self, max_length: int) -> None:
        super().__init__(dist_sync_fn=gather_uneven)
        self.max_length = max_length
        self.ranked: Ranked | None = None
        for name in DIMENSIONS:
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(
        self,
        image: tuple[Tensor, Tokens, Tensor],
        text: tuple[Tensor, Tokens, Tensor],
    ) -> None:
        """Add (embedding (B, D), tokens (B, N, D), index of the picture (B,)) of the images and of the captions."""
        padding = self.max_length - text[1].x.shape[1]
        padded = Tokens(F.pad(text[1].x, (0, 0, 0, padding)), F.pad(text[1].mask, (0, padding)))
        for name, (embedding, tokens, index) in (("image", image), ("text", (text[0], padded, text[2]))):
            getattr(self, name).append(embedding.float())  # in bfloat16 many would tie
            getattr(self, f"{name}_x").append(tokens.x.half())
            getattr(self, f"{name}_mask").append(tokens.mask)
            getattr(self, f"{name}_index").append(index)
        self.caption_index.append(_count_within(text[2]))

    def compute(self) -> dict[str, Tensor]:
        """The states, without repeats, ordered by picture and caption."""
        state = {name: torch.cat(value) if isinstance(value, list) else value for name, value in self._states()}
        images = _first_of_each(state["image_index"])
        texts = _first_of_each(state["text_index"] * (1 + state["caption_index"].max()) + state["caption_index"])
        picked = {name: value[images] for name, value in state.items() if name.startswith("image")}
        return picked | {name: value[texts] for name, value in state.items() if not name.startswith("image")}

    def whole(self) -> dict[str, Tensor]:
        """What ``compute`` found, in its own shapes: torchmetrics makes a number of what has one element."""
        found: dict[str, Tensor] = self.compute()
        return {name: value if value.ndim else value.reshape((1,) * DIMENSIONS[name]) for name, value in found.items()}

    def _states(self) -> list[tuple[str, list[Tensor] | Tensor]]:
        return [(name, getattr(self, name)) for name in self._defaults]


def recalls(scores: Tensor, positive: Tensor, prefix: str) -> dict[str, Tensor]:
    """R@1, 5, 10 and the median rank of the best positive.

    scores (Q, C), positive (Q, C) bool with at least one True a row. Recalls in 0–1; ranks from 1; ties count against.
    """
    best = scores.masked_fill(~positive, -torch.inf).amax(dim=1, keepdim=True)
    rank = ((scores >= best) & ~positive).sum(dim=1) + 1
    figures = {f"{prefix}_r{k}": (rank <= k).float().mean() for k in (1, 5, 10)}
    return figures | {f"{prefix}_median_rank": rank.float().median()}


def _count_within(index: Tensor) -> Tensor:
    """0, 1, 2 … among equal values of a (C,) whose equal values are neighbours."""
    position = torch.arange(len(index), device=index.device)
    starts = torch.ones_like(index, dtype=torch.bool)
    starts[1:] = index[1:] != index[:-1]
    return position - torch.where(starts, position, 0).cummax(dim=0).values


def _first_of_each(key: Tensor) -> Tensor:
    """Positions of the first of each distinct value, ordered by value: (C,) -> (U,)."""
    order = torch.argsort(key, stable=True)
    ordered = key[order]
    fresh = torch.ones_like(ordered, dtype=torch.bool)
    fresh[1:] = ordered[1:] != ordered[:-1]
    return order[fresh]
