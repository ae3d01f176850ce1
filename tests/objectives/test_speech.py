"""Transcription: loss, decoding, figures."""

import pytest
import torch

from mmtasks.backbone import Backbone
from mmtasks.config import describe
from mmtasks.data.tokenizer import BPETokenizer, CharacterTokenizer, WordTokenizer
from mmtasks.encoders.audio import ConformerAudio
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.fusion.mman import MMAN
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.heads.ctc import Path, align
from mmtasks.heads.decoder import TransformerDecoder
from mmtasks.losses import ctc
from mmtasks.metrics.words import Transcript
from mmtasks.objectives.speech import SpeechOutput, Transcription, timed_words
from mmtasks.types import Batch, Modality, Tokens, Word

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


def joint_task(ctc_weight: float, **options) -> tuple[Backbone, Transcription, Batch]:
    backbone, _, batch = task()
    decoder = TransformerDecoder(1, num_heads=2, dropout=0.0)
    objective = Transcription(decoder=decoder, ctc_weight=ctc_weight, dropout=0.0, **options)
    objective.build(16, facts())
    return backbone, objective, batch


@pytest.mark.parametrize(("ctc_weight", "beam"), [(0.0, 1), (0.5, 3)])
def test_a_decoder_learns_one_batch_alone_and_with_ctc(ctc_weight: float, beam: int) -> None:
    backbone, objective, batch = joint_task(ctc_weight, beam=beam)
    optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=5e-3)
    for _ in range(100):
        losses = objective.losses(objective(backbone.encode(batch.inputs), backbone.fuse, batch), batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert losses.keys() == ({"ctc", "attention"} if ctc_weight else {"attention"})
    backbone.eval(), objective.eval()
    heard = objective.decode(objective(backbone.encode(batch.inputs), backbone.fuse, batch))
    assert [one.text for one in heard] == TEXTS
    assert [[word.text for word in one.words] for one in heard] == (
        [[t] for t in TEXTS] if ctc_weight else [[], [], []]
    )


def test_joint_losses_are_weighted() -> None:
    _, objective, batch = joint_task(0.3)
    x, mask = torch.randn(3, 6, 16), torch.ones(3, 6, dtype=torch.bool)
    output = SpeechOutput(objective.head(x), mask, x)
    losses = objective.losses(output, batch)
    objective.ctc_weight = 0.6
    again = objective.losses(output, batch)
    torch.testing.assert_close(again["ctc"], 2 * losses["ctc"])
    torch.testing.assert_close(again["attention"], losses["attention"] * 0.4 / 0.7)


@pytest.mark.parametrize("ctc_weight", [0.0, 0.5])
def test_a_decoder_invents_no_text_for_a_recording_without_real_samples(ctc_weight: float) -> None:
    backbone, objective, batch = joint_task(ctc_weight, beam=2)
    audio = batch.inputs["audio"]
    empty = {"audio": Modality(audio.data, audio.mask & torch.tensor([[True], [False], [True]]))}
    heard = objective.eval().decode(objective(backbone.eval().encode(empty), backbone.fuse, batch))
    assert (heard[1].text, heard[1].words) == ("", [])


@pytest.mark.parametrize("ctc_weight", [1.0, -0.1])
def test_a_decoder_that_counts_nothing_is_refused(ctc_weight: float) -> None:
    with pytest.raises(ValueError, match=f"ctc_weight {ctc_weight}"):
        Transcription(decoder=TransformerDecoder(1), ctc_weight=ctc_weight)


def test_texts_longer_than_the_decoder_writes_are_refused() -> None:
    with pytest.raises(UserError, match="text.max_length 8: the decoder writes at most 7"):
        Transcription(decoder=TransformerDecoder(1, max_length=7)).build(16, facts())


def test_words_of_a_written_text_are_aligned_with_what_ctc_heard() -> None:
    best = torch.tensor([0, 2, 2, 0, 3, 0])
    log_probs = torch.nn.functional.one_hot(best, 4).float().mul(5).log_softmax(dim=-1)
    path = align(log_probs, [2, 3], blank=0)
    assert (path.ids, path.starts, path.ends) == ([2, 3], [1, 4], [3, 5])
    assert align(log_probs[:2], [2, 2], blank=0) is None


def test_each_word_of_a_vocabulary_of_words_has_its_own_times() -> None:
    tokenizer = WordTokenizer()
    tokenizer.fit(["seven eight"])
    path = Path(tokenizer.encode("eight seven"), [1, 4], [3, 5], 0.0)
    assert timed_words(tokenizer, path, 1.0) == [Word("eight", 1, 3), Word("seven", 4, 5)]


class Lips(Encoder):
    """A token for each frame of a film."""

    width = 8

    def build(self, facts: dict) -> None:
        self.read = torch.nn.Linear(4, 8)

    def forward(self, modality: Modality) -> Tokens:
        return Tokens(self.read(modality.data), modality.mask)


@pytest.fixture(scope="module")
def read_from_lips() -> tuple[Backbone, Transcription, Batch]:
    """Recordings that all sound alike, with films that tell what is said; trained on them."""
    plain, objective, batch = task()
    torch.manual_seed(0)
    backbone = Backbone({"audio": plain.encoders["audio"], "video": Lips()}, JointTransformer(1, num_heads=2), dim=16)
    backbone.build(facts())
    audio = batch.inputs["audio"]
    film = Modality(torch.randn(3, 6, 4), torch.ones(3, 6, dtype=torch.bool))
    batch = batch._replace(inputs={"audio": audio._replace(data=audio.data[:1].repeat(3, 1)), "video": film})
    optimizer = torch.optim.Adam([*backbone.parameters(), *objective.parameters()], lr=5e-3)
    for _ in range(150):
        loss = objective.losses(objective(backbone.encode(batch.inputs), backbone.fuse, batch), batch)["ctc"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return backbone.eval(), objective.eval(), batch


def test_a_film_beside_the_recording_is_read_through_the_same_fusion(read_from_lips) -> None:
    backbone, objective, batch = read_from_lips
    heard = objective.decode(objective(backbone.encode(batch.inputs), backbone.fuse, batch))
    assert [one.text for one in heard] == TEXTS


def test_an_absent_film_changes_no_other_transcript(read_from_lips) -> None:
    backbone, objective, batch = read_from_lips
    whole = objective(backbone.encode(batch.inputs), backbone.fuse, batch)
    film = batch.inputs["video"]
    mask = film.mask & torch.tensor([[True], [False], [True]])
    noise = torch.where(mask[..., None], film.data, 100 * torch.randn_like(film.data))
    partly = batch._replace(inputs={**batch.inputs, "video": Modality(noise, mask)})
    output = objective(backbone.encode(partly.inputs), backbone.fuse, partly)
    assert output.log_probs.isfinite().all()
    torch.testing.assert_close(output.log_probs[[0, 2]], whole.log_probs[[0, 2]])
    assert [one.text for one in objective.decode(output)][::2] == TEXTS[::2]


def test_without_any_film_every_weight_still_takes_part(read_from_lips) -> None:
    backbone, objective, batch = read_from_lips
    film = batch.inputs["video"]
    silent = batch._replace(inputs={**batch.inputs, "video": film._replace(mask=torch.zeros_like(film.mask))})
    backbone.zero_grad()
    output = objective(backbone.encode(silent.inputs), backbone.fuse, silent)
    objective.losses(output, silent)["ctc"].backward()
    gradients = {name: weight.grad for name, weight in backbone.named_parameters()}
    assert not [name for name, gradient in gradients.items() if gradient is None or not gradient.isfinite().all()]
    assert gradients["encoders.video.read.weight"].abs().sum() == 0 < gradients["project.audio.0.weight"].abs().sum()
