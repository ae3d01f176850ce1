"""Ranking with a trained image-text model."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from mmtasks.data.images import ImageProcessor
from mmtasks.inference.checkpoint import Model
from mmtasks.inference.image_text import Encoded, Matcher
from mmtasks.objectives.image_text import ImageText
from tests.small import FACTS, small_backbone

PICTURES, TEXTS = 5, 3


def matcher(num_classes: int, *, labels: int = 0) -> Matcher:
    """Of data with so many labels; re-ranks two."""
    objective = ImageText(num_classes=num_classes, rerank=2)
    torch.manual_seed(1)
    objective.build(16, {**FACTS, **({"label": {"num_classes": labels}} if labels else {})})
    processors = {"image": ImageProcessor(["RGB"])}
    objectives = {"matching": objective.eval()}
    return Matcher(Model(Path("a.ckpt"), small_backbone().eval(), objectives, processors, torch.device("cpu")))


def encoded(matcher: Matcher) -> tuple[list[Encoded], list[Encoded]]:
    """Pictures, and texts of 1, 2 and 3 random tokens."""
    images = matcher.encode_images(Image.effect_noise((16, 16), 20 + k) for k in range(PICTURES))
    return images, matcher.embed("text", (torch.randn(1 + k, 16) for k in range(TEXTS)))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_model_of_labelled_pairs_ranks_all_by_its_head(classes: int) -> None:
    model = matcher(classes, labels=classes)
    images, texts = encoded(model)
    expected = torch.stack([model.score_pairs(images, [text] * PICTURES) for text in texts])
    assert torch.equal(model.rank(texts, images, queries_are="text"), expected)
    torch.testing.assert_close(model.rank(images, texts, queries_are="image"), expected.T)


def test_other_models_rank_the_nearest_by_their_head_and_the_rest_by_embedding() -> None:
    model = matcher(2)
    images, texts = encoded(model)
    found = model.rank(texts, images, queries_are="text")
    cosine = torch.stack([t.embedding for t in texts]) @ torch.stack([i.embedding for i in images]).T
    nearest, rest = cosine.argsort(dim=1, descending=True).split([2, PICTURES - 2], dim=1)
    for text, row, near, far in zip(texts, found, nearest, rest, strict=True):
        assert row[far].tolist() == sorted(row[far].tolist(), reverse=True) and row[near].min() > row[far].max()
        cosines = torch.stack([images[i].embedding @ text.embedding for i in near])
        log_odds = model.score_pairs([images[i] for i in near], [text, text])
        torch.testing.assert_close(row[near], log_odds + model.mix * cosines)
