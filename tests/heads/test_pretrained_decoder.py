"""Whisper's decoder as a head, with a tiny random one on disk."""

import shutil

import pytest
import torch
from tokenizers import AddedToken
from transformers import GenerationConfig, WhisperConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration

from mmtasks.backbone import Backbone
from mmtasks.config import describe
from mmtasks.data.tokenizer import CharacterTokenizer, Tokenizer
from mmtasks.data.whisper_tokenizer import WhisperTokenizer, from_ranks
from mmtasks.encoders.pretrained_audio import PretrainedAudio
from mmtasks.errors import UserError
from mmtasks.heads.pretrained_decoder import WhisperDecoder
from mmtasks.heads.search import beam_search
from mmtasks.objectives.speech import Transcription
from mmtasks.types import Batch, Modality, Tokens

SPECIAL = ["<|endoftext|>", "<|startoftranscript|>", "<|de|>", "<|transcribe|>", "<|notimestamps|>"]
VOCABULARY = 256 + len(SPECIAL)
PROMPT = [257, 260]


@pytest.fixture
def whisper(tmp_path) -> str:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "max_target_positions": 12, "init_std": 0.5}
    symbols = {"pad_token_id": 256, "eos_token_id": 256, "bos_token_id": 256, "decoder_start_token_id": 257}
    model = WhisperForConditionalGeneration(WhisperConfig(vocab_size=VOCABULARY, **sizes, **heads, **symbols))
    model.save_pretrained(tmp_path / "whisper")
    return str(tmp_path / "whisper")


def facts(tokenizer: Tokenizer | None = None) -> dict:
    if tokenizer is None:
        tokenizer, library = WhisperTokenizer(), from_ranks({bytes([byte]): byte for byte in range(256)})
        library.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
        tokenizer.use(library, 256)
    known = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "max_length": 8}
    known["tokenizer"] = {"config": describe(tokenizer), "state": tokenizer.state_dict()}
    return {"audio": {"rate": 16_000}, "transcript": known}


def built(name: str, **options) -> WhisperDecoder:
    decoder = WhisperDecoder(name, **options)
    decoder.build(16, facts())
    return decoder.eval()


def memory() -> Tokens:
    x = torch.randn(2, 7, 16, generator=torch.Generator().manual_seed(1))
    return Tokens(x, torch.ones(2, 7, dtype=torch.bool))


def test_the_whole_model_writes_what_transformers_generates(whisper) -> None:
    backbone = Backbone({"audio": PretrainedAudio(whisper)}, dim=16, as_is=["audio"])
    objective = Transcription(decoder=WhisperDecoder(whisper))
    backbone.build(facts())
    known = facts()
    known["audio"] |= backbone.learned_facts()["audio"]
    objective.build(16, known)
    samples = 0.1 * torch.randn(3, 8_000, generator=torch.Generator().manual_seed(0))
    batch = Batch({"audio": Modality(samples, torch.ones(3, 8_000, dtype=torch.bool))}, {}, ["a", "b", "c"])
    objective.eval(), backbone.eval()
    output = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
    ours = beam_search(objective.decoder, Tokens(output.x, output.mask))
    reference = WhisperForConditionalGeneration.from_pretrained(whisper).eval()
    reference.generation_config = GenerationConfig(
        decoder_start_token_id=257,
        eos_token_id=256,
        pad_token_id=256,
        max_length=12,
        suppress_tokens=[*range(257, VOCABULARY)],
    )
    features = WhisperFeatureExtractor()(
        list(samples.numpy()), sampling_rate=16_000, return_tensors="pt"
    ).input_features
    theirs = reference.generate(features, decoder_input_ids=torch.tensor([PROMPT] * 3))
    for text, ids in zip(ours, theirs.tolist(), strict=True):
        written = [i for i in ids if i not in PROMPT]
        assert text.ids == written[: written.index(256) if 256 in written else None]
        assert text.ids


def test_cached_steps_equal_teacher_forcing(whisper) -> None:
    decoder, ids = built(whisper), torch.tensor([[1, 2, 3], [4, 5, 6]])
    logits = decoder(ids, memory()).masked_fill(~decoder.written, -torch.inf)
    expected = logits.log_softmax(dim=-1)
    log_probs, state = decoder.begin(memory())
    torch.testing.assert_close(log_probs, expected[:, 0])
    for position in range(3):
        log_probs, state = decoder.step(ids[:, position], state)
        torch.testing.assert_close(log_probs, expected[:, position + 1])


def test_a_beam_reorders_the_cache(whisper) -> None:
    """A beam's score of its text is what teacher forcing gives."""
    decoder = built(whisper)
    for row, text in enumerate(beam_search(decoder, memory(), beam=3)):
        one = Tokens(memory().x[row : row + 1], memory().mask[row : row + 1])
        logits = decoder(torch.tensor([text.ids]), one).masked_fill(~decoder.written, -torch.inf)
        log_probs = logits.log_softmax(dim=-1)[0]
        ended = [*text.ids, decoder.end][: max(len(text.ids), 1) + (len(text.ids) < 7)]
        score = sum(float(log_probs[position, symbol]) for position, symbol in enumerate(ended)) / len(ended)
        assert text.score == pytest.approx(score, abs=1e-4)


def test_padded_memory_changes_nothing(whisper) -> None:
    decoder, ids = built(whisper), torch.tensor([[1, 2], [3, 4]])
    x, mask = memory()
    longer = Tokens(torch.cat([x, torch.ones(2, 2, 16)], dim=1), torch.cat([mask, mask[:, :2] & False], dim=1))
    torch.testing.assert_close(decoder(ids, longer), decoder(ids, memory()))


@pytest.mark.parametrize("tuning", ["full", "lora", 1])
def test_built_again_from_its_architecture_without_files(whisper, tuning) -> None:
    first = built(whisper, tuning=tuning)
    shutil.rmtree(whisper)
    again = WhisperDecoder(whisper, tuning=tuning)
    again.build(16, {**facts(), **first.learned_facts()})
    again.load_state_dict(first.state_dict(), strict=True)
    ids = torch.tensor([[1, 2], [3, 4]])
    torch.testing.assert_close(again.eval()(ids, memory()), first(ids, memory()))


def test_every_trainable_weight_gets_a_gradient(whisper) -> None:
    for tuning in ("full", "lora"):
        decoder = built(whisper, tuning=tuning).train()
        decoder(torch.tensor([[1, 2], [3, 4]]), memory()).square().mean().backward()
        missing = [name for name, weight in decoder.named_parameters() if weight.requires_grad and weight.grad is None]
        assert not missing


def test_a_language_stands_in_the_prompt(whisper) -> None:
    assert built(whisper).prompt == PROMPT
    assert built(whisper, language="de").prompt == [257, 258, 259, 260]


def test_another_tokenizer_and_another_width_are_refused(whisper) -> None:
    letters = CharacterTokenizer()
    letters.fit(["abc"])
    with pytest.raises(UserError, match="tokenizer is not that of"):
        WhisperDecoder(whisper).build(16, facts(letters))
    with pytest.raises(UserError, match="width 16: set backbone.dim, now 8"):
        WhisperDecoder(whisper).build(8, facts())
