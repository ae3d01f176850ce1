"""Small models and batches that several tests share."""

import torch

from mmtasks.backbone import Backbone
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.text import TransformerText
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.objectives.image_text import ImageText
from mmtasks.types import Batch, Modality

FACTS = {"image": {}, "text": {"vocab_size": 20, "pad_id": 0, "max_length": 8}}


def small_backbone() -> Backbone:
    """Image and text towers of width 16 with one fusion layer, seeded and built."""
    torch.manual_seed(0)
    encoders = {
        "image": ResNetEncoder(layers=[1], base_width=8, stem="small"),
        "text": TransformerText(dim=16, num_layers=1, num_heads=2),
    }
    backbone = Backbone(encoders, JointTransformer(1, num_heads=2), dim=16)
    backbone.build(FACTS)
    return backbone


def small_objective(contrastive: str = "softmax", **options: int) -> ImageText:
    """An objective for the small backbone, seeded and built."""
    objective = ImageText(contrastive, **options)
    labels = {"label": {"num_classes": objective.num_classes}} if objective.num_classes > 2 else {}
    torch.manual_seed(1)
    objective.build(16, {**FACTS, **labels})
    return objective


def small_batch(size: int = 6) -> Batch:
    """Random pictures of 16 pixels and captions of 5 tokens."""
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(size, 1, 3, 16, 16, generator=generator)
    texts = torch.randint(1, 20, (size, 5), generator=generator)
    inputs = {
        "image": Modality(images, torch.ones(size, 1, dtype=torch.bool)),
        "text": Modality(texts, torch.ones(size, 5, dtype=torch.bool)),
    }
    target = {"image_index": torch.arange(size), "text_index": torch.arange(size)}
    return Batch(inputs, target, [str(i) for i in range(size)])
