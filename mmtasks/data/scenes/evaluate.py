"""The binding test: two scenes and two captions of the same words; which belongs to which?"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmtasks.data.scenes.pairs import binding_pairs
from mmtasks.data.scenes.render import render


class Binding(NamedTuple):
    """Share of right choices, 0–1; a tie counts half.

    fused: by the score that re-ranking orders by; head: by the matching head's part of it; embeddings: by the other.
    """

    fused: float
    head: float
    embeddings: float


def binding_accuracy(matcher: Any, *, number: int = 100, seed: int = 0, split: str = "test", size: int = 64) -> Binding:
    """How well a model tells binding pairs of a split apart.

    ``matcher`` encodes images and texts and has ``score_pairs`` and ``mix``. Four choices are asked of a pair: the
    caption of each image, and the image of each caption (Thrush et al. 2022).
    """
    pairs = binding_pairs(number, seed, split)
    both = [member for pair in pairs for member in pair]
    images = matcher.encode_images(render(scene, size=size, seed=i) for i, (scene, _) in enumerate(both))
    texts = matcher.encode_texts(caption for _, caption in both)
    image_order = [2 * p + i for p in range(number) for i in (0, 0, 1, 1)]
    text_order = [2 * p + t for p in range(number) for t in (0, 1, 0, 1)]
    dual = torch.stack([images[i].embedding @ texts[t].embedding for i, t in zip(image_order, text_order, strict=True)])
    head = matcher.score_pairs([images[i] for i in image_order], [texts[t] for t in text_order])
    scores = head + matcher.mix * dual, head, dual
    return Binding(*(_accuracy(score.view(-1, 2, 2)) for score in scores))


def _accuracy(scores: Tensor) -> float:
    """scores (P, image, text), right on the diagonal -> share of right choices."""
    right = scores.diagonal(dim1=1, dim2=2)  # [P, 2]
    margins = torch.cat(
        [right - scores.flip(2).diagonal(dim1=1, dim2=2), right - scores.flip(1).diagonal(dim1=1, dim2=2)]
    )
    return float(((margins > 1e-6).float() + 0.5 * (margins.abs() <= 1e-6).float()).mean())
