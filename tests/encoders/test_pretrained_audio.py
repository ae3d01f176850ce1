"""Pretrained speech encoders, with tiny random ones on disk."""

import json
import shutil

import pytest
import torch
from transformers import (
    HubertConfig,
    HubertModel,
    Wav2Vec2Config,
    Wav2Vec2Model,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from mmtasks.encoders.openai_whisper import packaged_weights, read_openai
from mmtasks.encoders.pretrained_audio import PretrainedAudio
from mmtasks.encoders.whisper_mel import WhisperMel
from mmtasks.errors import UserError
from mmtasks.types import Modality
from tests.small_whisper import openai_checkpoint

FACTS = {"rate": 16_000}
SIZE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
CONVOLUTIONS = {"conv_dim": [8] * 7, "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2}
WHISPER = {"encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
WAVES = {"wav2vec2": (Wav2Vec2Config, Wav2Vec2Model), "hubert": (HubertConfig, HubertModel)}
WAVES |= {"wavlm": (WavLMConfig, WavLMModel)}


@pytest.fixture
def whisper(tmp_path) -> str:
    torch.manual_seed(0)
    config = WhisperConfig(vocab_size=50, d_model=16, encoder_ffn_dim=32, decoder_ffn_dim=32, pad_token_id=0, **WHISPER)
    WhisperModel(config).save_pretrained(tmp_path / "whisper")
    return str(tmp_path / "whisper")


@pytest.fixture(params=[*WAVES, "wav2vec2-layer"])
def waves(request, tmp_path) -> str:
    kind, _, norm = request.param.partition("-")
    config, model = WAVES[kind]
    torch.manual_seed(0)
    options = {"feat_extract_norm": "layer", "do_stable_layer_norm": True} if norm else {}
    model(config(**SIZE, **CONVOLUTIONS, **options)).save_pretrained(tmp_path / request.param)
    return str(tmp_path / request.param)


def sound(*lengths: int) -> Modality:
    samples = 0.1 * torch.randn(len(lengths), max(lengths), generator=torch.Generator().manual_seed(0))
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Modality(samples * mask, mask)


def made(name: str, **options) -> PretrainedAudio:
    encoder = PretrainedAudio(name, **options)
    encoder.build(FACTS)
    return encoder.eval()


@pytest.mark.parametrize("length", [1_000, 16_123])
def test_frames_are_those_of_transformers(length) -> None:
    samples = sound(length)
    expected = WhisperFeatureExtractor()(samples.data[0].numpy(), sampling_rate=16_000, return_tensors="pt")
    frames = WhisperMel(80)(samples, 3000)
    torch.testing.assert_close(frames, expected.input_features, atol=1e-4, rtol=0)


def test_a_whole_window_is_what_transformers_encodes(whisper) -> None:
    samples = sound(9_000, 4_000)
    rows = [row[mask].numpy() for row, mask in zip(*samples, strict=True)]
    features = WhisperFeatureExtractor()(rows, sampling_rate=16_000, return_tensors="pt").input_features
    expected = WhisperModel.from_pretrained(whisper).eval().encoder(features).last_hidden_state
    encoder = made(whisper)
    tokens = encoder(samples)
    assert tokens.mask.all() and encoder.window == 30.0
    torch.testing.assert_close(tokens.x, expected, atol=1e-4, rtol=1e-4)


def test_silence_adds_tokens_and_padding_changes_nothing(whisper) -> None:
    encoder = made(whisper, silence=0.1)
    assert encoder.window is None
    together = encoder(sound(9_000, 3_200, 0))
    assert together.mask.sum(dim=1).tolist() == [29 + 5, 10 + 5, 0]
    assert not together.x[~together.mask].any()
    alone = encoder(Modality(sound(9_000, 3_200, 0).data[1:2, :3_200], torch.ones(1, 3_200, dtype=torch.bool)))
    torch.testing.assert_close(together.x[1, :15], alone.x[0], atol=1e-5, rtol=1e-5)


def test_stacked_tokens_stand_side_by_side_and_the_last_beside_zeros(whisper) -> None:
    samples = sound(9_000, 3_200, 0)
    plain, stacked = made(whisper, silence=0.0)(samples), made(whisper, silence=0.0, stack=2)
    assert stacked(samples).mask.sum(dim=1).tolist() == [15, 5, 0]
    assert stacked.width == 32 and stacked.learned_facts()["token_seconds"] == 0.04
    torch.testing.assert_close(stacked(samples).x.unflatten(2, (2, 16)).flatten(1, 2)[:, :29], plain.x)
    assert not stacked(samples).x[:, 14, 16:].any()


def test_waves_do_not_depend_on_padding_where_their_model_was_trained_so(waves) -> None:
    """Models whose convolutions have group norm see the padding's zeros: transformers pads them so, too."""
    encoder = made(waves)
    together = encoder(sound(9_000, 4_000, 0))
    assert together.mask.sum(dim=1).tolist() == [27, 12, 0]
    assert together.x.isfinite().all() and not together.x[~together.mask].any()
    if waves.endswith("layer"):
        alone = encoder(Modality(sound(9_000, 4_000, 0).data[1:2, :4_000], torch.ones(1, 4_000, dtype=torch.bool)))
        torch.testing.assert_close(together.x[1, :12], alone.x[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("lengths", [(1, 0), (399, 9), (400, 399), (719, 720), (9_000, 4_000, 300, 1)])
def test_waves_shorter_than_a_token_give_none(waves, lengths) -> None:
    samples = sound(*lengths)
    tokens = made(waves)(samples)
    assert tokens.mask.sum(dim=1).tolist() == [max(0, (length - 400) // 320 + 1) for length in lengths]
    assert tokens.x.isfinite().all() and not tokens.x[~tokens.mask].any()


@pytest.mark.parametrize("length", [1, 720, 3_000])
def test_waves_train_on_recordings_shorter_than_what_is_masked(waves, length) -> None:
    encoder = made(waves, tuning="full").train()
    tokens = encoder(sound(length))
    assert tokens.mask.sum() == max(0, (length - 400) // 320 + 1)
    assert tokens.x.isfinite().all() and not tokens.x[~tokens.mask].any()


@pytest.mark.parametrize("tuning", ["frozen", "lora", 1])
def test_built_again_from_its_architecture_without_files(whisper, tuning) -> None:
    first = made(whisper, tuning=tuning, silence=0.0)
    facts = json.loads(json.dumps(first.learned_facts()))
    assert facts["token_seconds"] == 0.02
    shutil.rmtree(whisper)
    again = PretrainedAudio(whisper, tuning=tuning, silence=0.0)
    again.build({**FACTS, **facts})
    again.load_state_dict(first.state_dict(), strict=True)
    torch.testing.assert_close(again.eval()(sound(5_000)).x, first(sound(5_000)).x)


def test_waves_are_built_again_without_files(waves) -> None:
    first = made(waves)
    shutil.rmtree(waves)
    again = PretrainedAudio(waves)
    again.build({**FACTS, **first.learned_facts()})
    again.load_state_dict(first.state_dict(), strict=True)
    torch.testing.assert_close(again(sound(5_000)).x, first(sound(5_000)).x)


def test_frozen_trains_nothing_and_full_tuning_everything_that_is_reached(whisper) -> None:
    frozen = made(whisper, silence=0.0).train()
    assert frozen.frozen and not any(module.training for module in frozen.modules())
    assert not frozen(sound(3_000)).x.requires_grad
    full = made(whisper, tuning="full", silence=0.0).train()
    full(sound(3_000)).x.square().sum().backward()
    assert all(weight.grad is not None for weight in full.parameters() if weight.requires_grad)


def test_another_rate_is_refused(whisper) -> None:
    with pytest.raises(UserError, match="reads 16000 samples a second, the data has 8000"):
        PretrainedAudio(whisper).build({"rate": 8_000})


def test_a_checkpoint_of_openai_is_read(tmp_path) -> None:
    checkpoint = openai_checkpoint()
    torch.save(checkpoint, tmp_path / "tiny.pt")
    weights, read = checkpoint["model_state_dict"], read_openai(tmp_path / "tiny.pt").state_dict()
    for ours, theirs in {
        "decoder.layers.0.encoder_attn.k_proj.weight": "decoder.blocks.0.cross_attn.key.weight",
        "decoder.layers.0.self_attn.q_proj.bias": "decoder.blocks.0.attn.query.bias",
        "encoder.layers.0.self_attn.out_proj.weight": "encoder.blocks.0.attn.out.weight",
        "encoder.layers.0.fc2.weight": "encoder.blocks.0.mlp.2.weight",
        "decoder.layers.0.encoder_attn_layer_norm.bias": "decoder.blocks.0.cross_attn_ln.bias",
        "encoder.layer_norm.weight": "encoder.ln_post.weight",
        "decoder.embed_positions.weight": "decoder.positional_embedding",
    }.items():
        assert read[ours].equal(weights[theirs].float()), ours


def test_a_package_may_hold_a_checkpoint_of_openai(tmp_path, monkeypatch) -> None:
    (tmp_path / "some_whisper" / "models").mkdir(parents=True)
    (tmp_path / "some_whisper" / "__init__.py").write_text("raise RuntimeError('imported')")
    torch.save(openai_checkpoint(), tmp_path / "some_whisper" / "models" / "tiny.pt")
    monkeypatch.syspath_prepend(tmp_path)
    encoder = PretrainedAudio("package:some_whisper", silence=0.0)
    encoder.build(FACTS)
    assert encoder(sound(1_600)).x.shape == (1, 5, 8)
    assert packaged_weights("nowhere_whisper") is None


def test_a_file_that_is_no_checkpoint_is_one_line(tmp_path) -> None:
    torch.save({"weights": 1}, tmp_path / "other.pt")
    with pytest.raises(UserError, match="other.pt: not a checkpoint of OpenAI's Whisper"):
        read_openai(tmp_path / "other.pt")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"silence": -1.0}, "silence -1.0"), ({"stack": 0}, "stack 0"), ({"tuning": "half"}, "tuning")],
)
def test_bad_arguments_are_named(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        PretrainedAudio("any", **options)


def test_the_tokens_of_a_recording_can_be_told_beforehand(waves, whisper) -> None:
    makers = [
        made(waves),
        made(whisper, silence=0.5),
        made(whisper),
        made(waves, stack=2),
        made(whisper, silence=0.0, stack=3),
    ]
    for encoder in makers:
        for samples in (1000, 16_000, 16_319, 16_320):
            assert encoder.count_tokens(samples) == encoder(sound(samples)).mask.sum(), samples
    assert makers[0].count_tokens(16_000) == 49 and makers[0].count_tokens(100) == 0
