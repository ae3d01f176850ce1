"""The shared backbone: what it drops in training, and what it says when it lacks something."""

from typing import Any

import pytest
import torch

from mmtasks.backbone import Backbone
from mmtasks.encoders.base import Encoder
from mmtasks.encoders.spectrogram import SpecAugment
from mmtasks.encoders.text import BagOfWords
from mmtasks.errors import UserError
from mmtasks.fusion.mman import MMAN
from mmtasks.fusion.neighbours import Neighbours
from mmtasks.fusion.stacked import Stacked
from mmtasks.layers import drop_features, time_sinusoids
from mmtasks.types import Facts, Modality, Tokens
from tests.small import FACTS, small_backbone, small_batch


def _texts() -> dict[str, Modality]:
    return {"text": Modality(torch.ones(4, 50, dtype=torch.long), torch.ones(4, 50, dtype=torch.bool))}


def test_a_modality_without_an_encoder_is_named() -> None:
    with pytest.raises(UserError, match="the data gives sound, but backbone.encoders has only image, text"):
        small_backbone().encode({**small_batch().inputs, "sound": _texts()["text"]})


def test_token_dropout_is_for_training_only() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8, token_dropout={"text": 0.5})
    backbone.build(FACTS)
    assert 60 < backbone.encode(_texts())["text"].mask.sum() < 140
    assert backbone.eval().encode(_texts())["text"].mask.all()


def test_augmentation_masks_stretches_of_projected_tokens_in_training() -> None:
    torch.manual_seed(0)
    backbone = Backbone(
        {"text": BagOfWords(8)}, dim=8, augment={"text": SpecAugment(frequencies=0, times=1, share=0.5)}
    )
    backbone.build(FACTS)
    texts = {"text": Modality(torch.randint(1, 20, (4, 50)), torch.ones(4, 50, dtype=torch.bool))}
    plain = backbone.eval().encode(texts)["text"].x
    hidden = (backbone.train().encode(texts)["text"].x != plain).any(dim=2)
    assert hidden.any() and hidden.sum(dim=1).max() <= 25
    assert hidden.int().diff(dim=1).eq(1).sum(dim=1).max() <= 1


def test_dropout_takes_the_same_features_from_all_tokens_of_a_sample() -> None:
    dropped = drop_features(torch.ones(4, 50, 8), 0.5, training=True)
    assert set(dropped.unique().tolist()) == {0, 2}
    assert torch.equal(dropped, dropped[:, :1].expand_as(dropped))
    assert not torch.equal(dropped[0], dropped[1])
    assert torch.equal(drop_features(torch.ones(1, 2, 8), 0.5, training=False), torch.ones(1, 2, 8))


def test_dropout_is_of_training_alone() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8, dropout=0.5)
    backbone.build({"text": {"vocab_size": 5, "pad_id": 0, "max_length": 8}})
    text = {"text": Modality(torch.ones(4, 3, dtype=torch.long), torch.ones(4, 3, dtype=torch.bool))}
    whole, dropped = backbone.eval().encode(text)["text"].x, backbone.train().encode(text)["text"].x
    assert not torch.allclose(whole, dropped)
    torch.testing.assert_close(backbone.eval().encode(text)["text"].x, whole)


def _streams(present: torch.Tensor) -> dict[str, Modality]:
    """Two streams of texts; present (2, B): whether a sample has them."""
    ones = torch.ones(present.shape[1], 3, dtype=torch.long)
    return {name: Modality(ones, row[:, None].expand(-1, 3)) for name, row in zip("ab", present, strict=True)}


def _two_texts(**options: Any) -> Backbone:
    backbone = Backbone({"a": BagOfWords(8), "b": BagOfWords(8)}, MMAN(), dim=8, **options)
    backbone.build({"a": FACTS["text"], "b": FACTS["text"]})
    return backbone


def test_modality_dropout_takes_whole_streams_in_training_only() -> None:
    torch.manual_seed(0)
    backbone = _two_texts(modality_dropout={"b": 0.25})
    inputs = _streams(torch.ones(2, 400, dtype=torch.bool))
    tokens = backbone.encode(inputs)
    lost = ~tokens["b"].mask.any(dim=1)
    assert 70 < lost.sum() < 130 and tokens["a"].mask.all()
    assert tokens["b"].mask.all(dim=1).equal(~lost)
    assert backbone.eval().encode(inputs)["b"].mask.all()


def test_modality_dropout_leaves_every_sample_something() -> None:
    torch.manual_seed(0)
    backbone = _two_texts(modality_dropout={"a": 0.5, "b": 1.0})
    present = torch.tensor([[True], [True], [False]]).repeat(1, 100).T.reshape(100, 3)
    tokens = backbone.encode(_streams(torch.stack([present[:, k] for k in (0, 2)])))
    assert tokens["a"].mask.all()  # of samples that lack b
    both = backbone.encode(_streams(torch.ones(2, 200, dtype=torch.bool)))
    a, b = (both[name].mask.any(dim=1) for name in "ab")
    assert (a | b).all() and 60 < (a & ~b).sum() < 140 and (a & b).sum() == 200 - (a & ~b).sum()


def test_a_stream_that_all_samples_lose_still_enters_the_graph() -> None:
    backbone = _two_texts(modality_dropout={"b": 1.0})
    tokens, fused = backbone(_streams(torch.ones(2, 4, dtype=torch.bool)))
    assert not tokens["b"].mask.any() and fused.x.isfinite().all()
    (fused.x.sum() + tokens["b"].x.sum() * 0).backward()
    missing = [name for name, weight in backbone.named_parameters() if weight.grad is None]
    assert not missing


def test_modality_dropout_leaves_what_samples_are_compared_with() -> None:
    backbone = Backbone({name: BagOfWords(8) for name in "abc"}, dim=8, modality_dropout={"a": 1.0, "c": 1.0})
    backbone.build(dict.fromkeys("abc", FACTS["text"]))
    samples, descriptions = (_streams(torch.ones(2, size, dtype=torch.bool)) for size in (4, 12))
    tokens = backbone.encode({**samples, "c": descriptions["a"]})
    assert not tokens["a"].mask.any() and tokens["b"].mask.all() and tokens["c"].mask.all()
    alone = backbone.encode({"a": samples["a"], "c": descriptions["a"]})
    assert alone["a"].mask.all()  # descriptions say nothing of a sample


def test_modality_dropout_names_what_it_cannot_do() -> None:
    with pytest.raises(ValueError, match=r"modality_dropout \{'a': 1.5\} must be shares"):
        _two_texts(modality_dropout={"a": 1.5})
    inputs = _streams(torch.ones(2, 4, dtype=torch.bool))
    inputs["a"] = Modality(inputs["a"].data[:3], inputs["a"].mask[:3])
    with pytest.raises(UserError, match=r"as many rows of a stream for each sample, and there are \{'a': 3, 'b': 4\}"):
        _two_texts(modality_dropout={"b": 0.5}).encode(inputs)
    assert _two_texts().encode(inputs).keys() == {"a", "b"}


class Ticks(Encoder):
    """Equal tokens, one for each step."""

    width = 8

    def build(self, facts: Facts) -> None:
        pass

    def forward(self, modality: Modality) -> Tokens:
        return Tokens(torch.ones(*modality.mask.shape, 8), modality.mask)


def test_timed_streams_find_the_same_moment_at_any_pace() -> None:
    torch.manual_seed(0)
    backbone = Backbone({"a": Ticks(), "b": Ticks()}, MMAN(), dim=32, timed=["a", "b"])
    backbone.build({"a": {"token_seconds": 0.04}, "b": {"token_seconds": 0.1}})
    paces = {"a": 50, "b": 20}
    inputs = {name: Modality(torch.zeros(1, n), torch.ones(1, n, dtype=torch.bool)) for name, n in paces.items()}
    fused = backbone.fuse(backbone.encode(inputs), need_weights=True)
    looked_at = fused.attention[0, fused.spans["a"], fused.spans["b"]].argmax(dim=1)
    torch.testing.assert_close(looked_at * 0.1, torch.arange(50) * 0.04, atol=0.15, rtol=0)


def test_all_places_of_a_moment_are_told_its_time() -> None:
    backbone = Backbone({"a": Ticks()}, dim=32, timed=["a"])
    backbone.build({"a": {"token_seconds": 0.5}})
    backbone.encoders["a"].places = 3
    x = backbone.encode({"a": Modality(torch.zeros(1, 12), torch.ones(1, 12, dtype=torch.bool))})["a"].x
    moments = x.unflatten(1, (4, 3))
    torch.testing.assert_close(moments, moments[:, :, :1].expand(-1, -1, 3, -1))
    expected = backbone.time_scale * time_sinusoids(torch.arange(4) / 2, 32)
    torch.testing.assert_close(moments[0, 1:, 0] - moments[0, 0, 0], expected[1:] - expected[0])


def test_timed_needs_to_know_the_pace() -> None:
    backbone = Backbone({"text": BagOfWords(8)}, dim=8, timed=["text"])
    with pytest.raises(UserError, match="timed: text does not say how many seconds a token is"):
        backbone.build(FACTS)
    with pytest.raises(ValueError, match=r"timed and as_is both name \['text'\]"):
        Backbone({"text": BagOfWords(8)}, dim=8, timed=["text"], as_is=["text"])
    with pytest.raises(ValueError, match=r"augment and as_is both name \['text'\]"):
        Backbone({"text": BagOfWords(8)}, dim=8, augment={"text": SpecAugment()}, as_is=["text"])
    with pytest.raises(ValueError, match=r"timed for \['image'\]"):
        Backbone({"text": BagOfWords(8)}, timed=["image"])


def test_what_is_said_of_modalities_must_name_encoders() -> None:
    with pytest.raises(ValueError, match=r"token_dropout for \['image'\].*encoders: \['text'\]"):
        Backbone({"text": BagOfWords(8)}, token_dropout={"image": 0.5})
    with pytest.raises(ValueError, match=r"fusion.modalities for \['image'\].*encoders: \['text'\]"):
        Backbone({"text": BagOfWords(8)}, Stacked([Neighbours(1, modalities=["image"])]))


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
