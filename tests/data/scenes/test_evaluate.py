"""Binding pairs: nothing but what belongs to what can tell them apart."""

import pytest
import torch
from torch import Tensor

from mmtasks.data.images import ImageProcessor
from mmtasks.data.scenes.evaluate import binding_accuracy
from mmtasks.data.scenes.pairs import binding_pairs
from mmtasks.data.scenes.scene import Scene
from mmtasks.inference.image_text import Encoded

WORDS = sorted({word for pair in binding_pairs(200) for _, caption in pair for word in caption.split()})


class Stub:
    """Scores by a given rule on pictures' and captions' features."""

    mix = 1.0

    def __init__(self, read: object) -> None:
        self.read = read

    def encode_images(self, pictures: object) -> list[Encoded]:
        """Mean colours of the picture's quarters."""
        process = ImageProcessor(["RGB", {"Resize": [2, 2]}])
        return [Encoded(torch.nn.functional.normalize(process(p).flatten(), dim=0), process(p)) for p in pictures]

    def encode_texts(self, texts: object) -> list[Encoded]:
        """What ``read`` makes of each caption."""
        return [Encoded(self.read(text), torch.zeros(1)) for text in texts]

    def score_pairs(self, images: list[Encoded], texts: list[Encoded]) -> Tensor:
        """The cosine."""
        return torch.stack([i.embedding @ t.embedding for i, t in zip(images, texts, strict=True)])


def bag_of_words(text: str) -> Tensor:
    """A random, fixed vector a word, summed in the order of the alphabet."""
    generator = torch.Generator().manual_seed(0)
    table = dict(zip(WORDS, torch.randn(len(WORDS), 12, generator=generator), strict=True))
    return torch.stack([table[word] for word in sorted(text.split())]).sum(dim=0)


def test_a_bag_of_words_scores_one_half() -> None:
    assert binding_accuracy(Stub(bag_of_words), number=200, size=16) == pytest.approx((0.5, 0.5, 0.5))


def test_whoever_reads_order_and_picture_scores_one() -> None:
    pairs = [member for pair in binding_pairs(50) for member in pair]
    scenes: dict[str, Scene] = {caption: scene for scene, caption in pairs}

    class Knowing(Stub):
        def encode_images(self, pictures: object) -> list[Encoded]:
            """One number a picture."""
            return [Encoded(torch.eye(len(pairs))[k], torch.zeros(1)) for k, _ in enumerate(pictures)]

    order = list(scenes)
    knowing = Knowing(lambda text: torch.eye(len(pairs))[order.index(text)])
    assert len(order) == len(pairs)
    assert binding_accuracy(knowing, number=50, size=16) == (1, 1, 1)
