"""The shared backbone: what it drops in training, and what it says when it lacks something."""

import pytest
import torch

from mmtasks.backbone import Backbone
from mmtasks.encoders.text import BagOfWords
from mmtasks.errors import UserError
from mmtasks.types import Modality
from tests.small import FACTS, small_backbone, small_batch


def _texts() -> dict[str, Modality]:
    return {"text": Modality(torch.ones(4, 50, dtype=torch.long), torch.ones(4, 50, dtype=torch.bool))}


def test_token_dropout_is_for_training_only() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8, token_dropout={"text": 0.5})
    backbone.build(FACTS)
    assert 60 < backbone.encode(_texts())["text"].mask.sum() < 140
    assert backbone.eval().encode(_texts())["text"].mask.all()


def test_dropout_takes_the_same_features_from_all_tokens_of_a_sample() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8, dropout=0.5)
    dropped = backbone._drop_features(torch.ones(4, 50, 8))
    assert set(dropped.unique().tolist()) == {0, 2}
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(backbone.eval()._drop_features(torch.ones(1, 2, 8)), torch.ones(1, 2, 8))


def test_positions_and_token_dropout_must_name_encoders() -> None:
    with pytest.raises(ValueError, match=r"token_dropout for \['image'\].*encoders: \['text'\]"):
        Backbone({"text": BagOfWords(8)}, token_dropout={"image": 0.5})


def test_without_fusion_towers_encode_but_do_not_fuse() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8)
    backbone.build(FACTS)
    tokens = backbone.encode(_texts())
    with pytest.raises(UserError, match="no fusion"):
        backbone.fuse({**tokens, "image": tokens["text"]})


def test_one_modality_needs_no_fusion_and_may_go_on_as_it_is() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8, as_is=["text"])
    backbone.build(FACTS)
    inputs = _texts()
    tokens, fused = backbone(inputs)
    expected = backbone.encoders["text"](inputs["text"])
    assert torch.equal(tokens["text"].x, expected.x) and torch.equal(fused.x, expected.x)
    assert fused.spans == {"text": slice(0, expected.x.shape[1])}
    wider = Backbone({"text": BagOfWords(8)}, dim=16, as_is=["text"])
    with pytest.raises(UserError, match="text has width 8: set backbone.dim"):
        wider.build(FACTS)


def test_an_absent_modality_gives_no_nan_and_changes_no_other_sample() -> None:
    backbone, batch = small_backbone().eval(), small_batch()
    whole = backbone(batch.inputs)[1].x
    image = batch.inputs["image"]
    absent = image.mask.clone()
    absent[0] = False
    without = backbone({**batch.inputs, "image": Modality(image.data, absent)})[1].x
    assert without.isfinite().all()
    torch.testing.assert_close(without[1:], whole[1:])
