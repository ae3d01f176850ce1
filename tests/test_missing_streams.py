"""A sample, a batch or a whole task may lack a stream: what complete samples give stays the same."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmtasks.backbone import Backbone
from mmtasks.config import describe
from mmtasks.data.tokenizer import CharacterTokenizer
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.text import BagOfWords, RNNText
from mmtasks.encoders.video import ConvVideo, LSTMVideo
from mmtasks.fusion.base import Fusion
from mmtasks.fusion.bottleneck import Bottleneck
from mmtasks.fusion.mman import MMAN
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.objectives.base import Objective
from mmtasks.objectives.image_text import ImageText
from mmtasks.objectives.speech import Transcription
from mmtasks.objectives.summary import SummaryScoring
from mmtasks.types import Annotation, Batch, Modality

SIZE, DIM, INCOMPLETE = 4, 16, [1, 3]
FUSIONS: list[Callable[[], Fusion]] = [
    MMAN,
    lambda: JointTransformer(1, num_heads=2),
    lambda: Bottleneck(2, num_heads=2),
]
TEXT = {"vocab_size": 20, "pad_id": 0, "max_length": 8}
Task = tuple[dict[str, Any], Objective, dict[str, Any], Batch, str]


def stream(data: Tensor) -> Modality:
    """All of it real."""
    return Modality(data, torch.ones(data.shape[:2], dtype=torch.bool))


def pictures() -> ResNetEncoder:
    return ResNetEncoder(layers=[1], base_width=8, stem="small")


def speech() -> Task:
    tokenizer = CharacterTokenizer()
    tokenizer.fit(["up"])
    known = {**TEXT, "vocab_size": tokenizer.vocab_size}
    known["tokenizer"] = {"config": describe(tokenizer), "state": tokenizer.state_dict()}
    facts = {"audio": {"rate": 8000, "token_seconds": 0.04}, "video": {"token_seconds": 0.04}, "transcript": known}
    encoders = {"audio": ConformerAudio(16, num_layers=1, num_heads=2, num_mels=20, dropout=0.0)}
    encoders["video"] = LSTMVideo(16, pictures=pictures())
    inputs = {"audio": stream(torch.randn(SIZE, 4000)), "video": stream(torch.rand(SIZE, 6, 3, 8, 8))}
    ids = torch.tensor([tokenizer.encode("up")] * SIZE)
    target = {"transcript": ids, "transcript_length": torch.full((SIZE,), 2), "text": ["up"] * SIZE}
    return encoders, Transcription(), facts, Batch(inputs, target, list("abcd")), "video"


def summary() -> Task:
    annotation = Annotation(np.arange(6), 6, 2.0, np.array([[0, 5]]))
    inputs = {"video": stream(torch.rand(SIZE, 6, 3, 8, 8)), "text": stream(torch.randint(1, 20, (SIZE, 5)))}
    judged = torch.ones(SIZE, 6, dtype=torch.bool)
    target = {"importance": torch.rand(SIZE, 6), "judged": judged, "annotation": [annotation] * SIZE}
    encoders = {"video": ConvVideo(16, pictures=pictures()), "text": RNNText(16)}
    return encoders, SummaryScoring(), {"video": {}, "text": TEXT}, Batch(inputs, target, list("abcd")), "text"


def image_text() -> Task:
    inputs = {"image": stream(torch.rand(SIZE, 1, 3, 8, 8)), "text": stream(torch.randint(1, 20, (SIZE, 5)))}
    target = {"image_index": torch.arange(SIZE), "text_index": torch.arange(SIZE)}
    encoders = {"image": pictures(), "text": BagOfWords(16)}
    return encoders, ImageText(), {"image": {}, "text": TEXT}, Batch(inputs, target, list("abcd")), "text"


def built(make: Callable[[], Task], fusion: Callable[[], Fusion], **options: Any) -> tuple[Backbone, Objective, Batch]:
    torch.manual_seed(0)
    encoders, objective, facts, batch, _ = make()
    backbone = Backbone(encoders, fusion(), dim=DIM, **options)
    backbone.build(facts)
    objective.build(DIM, facts)
    return backbone, objective, batch


def lacking(batch: Batch, name: str, rows: list[int]) -> Batch:
    """The batch without a stream in these rows, where nonsense stands instead."""
    data, mask = batch.inputs[name]
    data, mask = data.clone(), mask.clone()
    data[rows], mask[rows] = 7 if data.dtype == torch.long else 1e4, False
    return batch._replace(inputs={**batch.inputs, name: Modality(data, mask)})


def results(backbone: Backbone, objective: Objective, batch: Batch) -> dict[str, Tensor]:
    """Tensors with a row for each sample: what the objective makes, and the fused tokens."""
    tokens = backbone.encode(batch.inputs)
    output = objective(tokens, backbone.fuse, batch)
    found = {key: value for key, value in output._asdict().items() if isinstance(value, Tensor)}
    return {**found, "fused": backbone.fuse(tokens).x}


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("make", [speech, summary, image_text])
def test_complete_samples_are_unchanged_by_incomplete_neighbours(
    make: Callable[[], Task], fusion: Callable[[], Fusion]
) -> None:
    backbone, objective, batch = built(make, fusion)
    name = make()[-1]
    backbone.eval(), objective.eval()
    whole = results(backbone, objective, batch)
    partly = results(backbone, objective, lacking(batch, name, INCOMPLETE))
    complete = [row for row in range(SIZE) if row not in INCOMPLETE]
    assert whole.keys() == partly.keys() and len(whole) > 1
    for key, value in whole.items():
        assert partly[key].isfinite().all(), key
        torch.testing.assert_close(partly[key][complete], value[complete], msg=key)
        assert key in ("mask", "image", "x") or not torch.allclose(partly[key][INCOMPLETE], value[INCOMPLETE]), key


@pytest.mark.parametrize("make", [speech, summary, image_text])
def test_a_batch_that_lacks_a_stream_trains_every_weight_without_nan(make: Callable[[], Task]) -> None:
    backbone, objective, batch = built(make, MMAN)
    empty = lacking(batch, make()[-1], list(range(SIZE)))
    output = objective(backbone.encode(empty.inputs), backbone.fuse, empty)
    torch.stack(list(objective.losses(output, empty).values())).sum().backward()
    gradients = {key: weight.grad for key, weight in backbone.named_parameters()}
    assert not [key for key, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()]


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("make", [speech, summary])
def test_a_task_that_never_has_a_stream_gives_what_one_gives_whose_samples_lack_it(
    make: Callable[[], Task], fusion: Callable[[], Fusion]
) -> None:
    backbone, objective, batch = built(make, fusion)
    name = make()[-1]
    backbone.eval(), objective.eval()
    absent = results(backbone, objective, lacking(batch, name, list(range(SIZE))))
    never = batch._replace(inputs={key: value for key, value in batch.inputs.items() if key != name})
    undeclared = results(backbone, objective, never)
    for key in absent.keys() - {"fused"}:
        torch.testing.assert_close(undeclared[key], absent[key], msg=key)
