"""Transcription: loss, decoding, figures."""

import torch

from mmtasks.backbone import Backbone
from mmtasks.config import describe
from mmtasks.data.tokenizer import BPETokenizer, CharacterTokenizer
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.fusion.mman import MMAN
from mmtasks.heads.ctc import Path
from mmtasks.losses import ctc
from mmtasks.metrics.words import Transcript
from mmtasks.objectives.speech import SpeechOutput, Transcription, timed_words
from mmtasks.types import Batch, Modality, Word

TEXTS = ["up", "down", "left"]


def facts() -> dict:
    tokenizer = CharacterTokenizer()
    tokenizer.fit(TEXTS)
    known = {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "max_length": 8}
    known["tokenizer"] = {"config": describe(tokenizer), "state": tokenizer.state_dict()}
    return {"audio": {"rate": 16_000, "token_seconds": 0.04}, "transcript": known}


def task() -> tuple[Backbone, Transcription, Batch]:
    torch.manual_seed(0)
    encoder = ConformerAudio(
        16, num_layers=1, num_heads=2, kernel=5, num_mels=20, dropout=0.0, spec_augment={"frequencies": 0, "times": 0}
    )
    backbone, objective = Backbone({"audio": encoder}, MMAN(), dim=16), Transcription(dropout=0.0)
    backbone.build(facts())
    objective.build(16, facts())
    ids = [objective.tokenizer.encode(text) for text in TEXTS]
    lengths = torch.tensor([len(row) for row in ids])
    padded = torch.tensor([row + [0] * (4 - len(row)) for row in ids])
    audio = Modality(torch.randn(3, 8000), torch.ones(3, 8000, dtype=torch.bool))
    target = {"transcript": padded, "transcript_length": lengths, "text": TEXTS}
    return backbone, objective, Batch({"audio": audio}, target, ["a", "b", "c"])


def test_ctc_by_hand() -> None:
    """Two tokens, the target "1": the paths 11, 01 and 10."""
    log_probs = torch.tensor([[[0.6, 0.4], [0.3, 0.7]]]).log()
    loss = ctc(log_probs, torch.ones(1, 2, dtype=torch.bool), torch.tensor([[1]]), torch.tensor([1]), blank=0)
    torch.testing.assert_close(loss, -torch.tensor(0.4 * 0.7 + 0.6 * 0.7 + 0.4 * 0.3).log())


def test_ctc_does_not_depend_on_padding() -> None:
    log_probs = torch.randn(1, 6, 5).log_softmax(dim=-1)
    mask = torch.ones(1, 6, dtype=torch.bool)
    target, length = torch.tensor([[1, 2]]), torch.tensor([2])
    plain = ctc(log_probs, mask, target, length, blank=0)
    padded = torch.cat([log_probs, torch.randn(1, 3, 5)], dim=1)
    longer = torch.cat([mask, torch.zeros(1, 3, dtype=torch.bool)], dim=1)
    torch.testing.assert_close(ctc(padded, longer, torch.tensor([[1, 2, 0]]), length, blank=0), plain)


def test_a_target_too_long_for_its_tokens_costs_nothing() -> None:
    log_probs = torch.randn(1, 2, 5, requires_grad=True)
    target = torch.tensor([[1, 2, 3]])
    loss = ctc(log_probs.log_softmax(-1), torch.ones(1, 2, dtype=torch.bool), target, torch.tensor([3]), blank=0)
    loss.backward()
    assert loss == 0
    assert not log_probs.grad.any()


def test_one_batch_can_be_overfitted_and_is_transcribed() -> None:
    backbone, objective, batch = task()
    optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=5e-3)
    for _ in range(120):
        output = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
        loss = objective.losses(output, batch)["ctc"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert [heard.text for heard in objective.decode(output)] == TEXTS
    metrics = objective.metrics()
    objective.update_metrics(metrics, output, batch)
    figures = objective.compute_metrics(metrics, backbone.fuse, full=True)
    assert figures["wer"] == 0 and figures["accuracy"] == 1
    assert metrics.transcripts[1] == Transcript("b", "down", "down")


def test_a_recording_without_real_samples_gives_no_text() -> None:
    _, objective, _ = task()
    output = SpeechOutput(torch.randn(1, 4, 9), torch.zeros(1, 4, dtype=torch.bool))
    heard = objective.decode(output)[0]
    assert (heard.text, heard.words) == ("", [])


def test_words_have_the_times_of_their_symbols() -> None:
    tokenizer = CharacterTokenizer()
    tokenizer.fit(["go up"])
    path = Path(tokenizer.encode("go up"), [2, 4, 5, 7, 9], [3, 5, 6, 8, 12], 0.0)
    assert timed_words(tokenizer, path, 0.5) == [Word("go", 1.0, 2.5), Word("up", 3.5, 6.0)]


def test_words_of_byte_pairs_begin_at_a_space() -> None:
    tokenizer = BPETokenizer(vocab_size=257)
    tokenizer.fit([])
    ids = tokenizer.encode("é up")
    path = Path(ids, list(range(len(ids))), list(range(1, len(ids) + 1)), 0.0)
    assert timed_words(tokenizer, path, 1.0) == [Word("é", 0, 2), Word("up", 3, 5)]
