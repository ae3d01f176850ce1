"""Speech from rows to batches."""

import json

import pytest
import soundfile
import torch

from mmtasks.config import instantiate
from mmtasks.data.acoustics import Acoustics
from mmtasks.data.audio import AudioProcessor
from mmtasks.data.speech import SpeechDataModule
from mmtasks.data.speech_dataset import played
from mmtasks.data.speech_sources import SpeechManifest
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import CharacterTokenizer, WordTokenizer
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.types import Modality, Tokens

RATE = 16_000
CLEAN = ["nfkc", "lowercase", "strip_punctuation", "whitespace"]


def noise(seconds: float) -> torch.Tensor:
    return 0.1 * torch.randn(int(RATE * seconds), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def source(tmp_path):
    """Make a source of rows (samples, text)."""

    def make(*rows: tuple[torch.Tensor, str]) -> SpeechManifest:
        lines = []
        for number, (samples, text) in enumerate(rows):
            soundfile.write(tmp_path / f"{number}.wav", samples.numpy(), RATE, subtype="FLOAT")
            lines.append(json.dumps({"id": number, "audio": f"{number}.wav", "text": text}))
        (tmp_path / "m.jsonl").write_text("\n".join(lines))
        return SpeechManifest(str(tmp_path / "m.jsonl"))

    return make


def datamodule(source: SpeechManifest, **options) -> SpeechDataModule:
    text = TextProcessor(CharacterTokenizer(), clean=CLEAN, max_length=options.pop("max_length", 32))
    data = SpeechDataModule(source, source, text=text, audio=AudioProcessor(RATE, []), **options)
    data.setup()
    return data


def test_a_batch_holds_sound_and_targets(source):
    data = datamodule(source((noise(1.0), "Yes!"), (noise(0.5), "no")))
    batch = next(iter(data.val_dataloader()))
    audio = batch.inputs["audio"]
    assert audio.data.shape == (2, RATE)
    assert audio.mask.sum(dim=1).tolist() == [RATE // 2, RATE]  # shortest first
    assert batch.target["text"] == ["no", "yes"]
    assert batch.target["transcript_length"].tolist() == [2, 3]
    tokenizer = data.text.tokenizer
    assert [tokenizer.decode(ids.tolist()) for ids in batch.target["transcript"]] == ["no", "yes"]
    assert batch.ids == ["1", "0"]


def test_facts_hold_the_tokenizer(source):
    known = datamodule(source((noise(1.0), "yes"))).facts()
    assert known["audio"] == {"rate": RATE}
    tokenizer = instantiate(known["transcript"]["tokenizer"]["config"])
    tokenizer.load_state_dict(known["transcript"]["tokenizer"]["state"])
    assert tokenizer.decode(tokenizer.encode("sey")) == "sey"
    assert known["transcript"]["vocab_size"] == 5


def test_speed_changes_the_length_of_training_samples_only(source):
    data = datamodule(source((noise(1.0), "yes")), speeds=[0.5, 2.0])
    lengths = {len(data.datasets["train"][key].audio) for key in range(20)}
    assert lengths == {RATE // 2, 2 * RATE}
    assert len(data.datasets["val"][0].audio) == RATE
    again = [len(data.datasets["train"][key].audio) for key in range(20)]
    assert again == [len(data.datasets["train"][key].audio) for key in range(20)]


def test_noise_is_added_in_training_only_and_anew_in_each_epoch(source):
    rows = source((noise(1.0), "yes"))
    plain, noisy = (datamodule(rows, augment=augment) for augment in (None, Acoustics(noise=1)))
    for name in ("val", "test"):
        assert noisy.datasets[name][0].audio.equal(plain.datasets[name][0].audio)
    heard = [noisy.datasets["train"][epoch].audio for epoch in (0, 0, 1)]
    assert heard[0].equal(heard[1]) and not heard[0].equal(heard[2])
    assert not heard[0].equal(plain.datasets["train"][0].audio)


def test_training_batches_stay_within_their_seconds_at_every_speed(source):
    data = datamodule(source(*[(noise(0.2 + 0.1 * k), "yes") for k in range(12)]), batch_seconds=4.0, speeds=[0.8, 1.0])
    seen = 0
    for batch in data.train_dataloader():
        assert batch.inputs["audio"].data.numel() <= 4.0 * RATE + len(batch.ids)
        seen += len(batch.ids)
    assert seen == 12


@pytest.mark.parametrize(
    ("row", "options", "message"),
    [
        ((torch.zeros(RATE), "yes"), {}, "silent"),
        ((noise(1.0), "?!"), {}, "no text is left"),
        ((noise(1.0), "y" * 80), {"max_length": 99}, "80.0 characters a second"),
        ((noise(3.0), "yes"), {"max_seconds": 2.0}, "3.0 s, max_seconds is 2"),
        ((torch.full((100,), torch.nan), "yes"), {}, "not numbers"),
    ],
)
def test_unusable_rows_are_left_out_or_stop_the_run(source, capsys, row, options, message):
    good = (noise(1.0), "yes")
    data = datamodule(source(good, row), max_bad_fraction=0.5, **options)
    assert [r.id for r in data.datasets["train"].rows] == ["0"]
    assert message in capsys.readouterr().out
    with pytest.raises(UserError, match=f"m.jsonl:2: .*{message}"):
        datamodule(source(good, row), **options)


def test_a_transcript_longer_than_allowed_is_named_and_left_out_not_cut(source, capsys):
    rows = source((noise(1.0), "hello"), (noise(1.0), "hell"))
    with pytest.raises(UserError, match="m.jsonl:1: the text has 5 tokens, text.max_length is 4"):
        datamodule(rows, max_length=4)
    data = datamodule(rows, max_length=4, max_bad_fraction=0.5)
    assert [row.text for row in data.datasets["train"].rows] == ["hell"]
    assert "m.jsonl:1: the text has 5 tokens" in capsys.readouterr().out


class Counting(Encoder):
    """A token every 400 samples, as many as fit, if it tells."""

    def __init__(self, *, tells: bool) -> None:
        super().__init__()
        self.tells = tells

    def count_tokens(self, positions: int) -> int | None:
        return positions // 400 if self.tells else None


@pytest.mark.parametrize(("tells", "kept"), [(True, ["0", "1"]), (False, ["0", "1", "2"])])
def test_what_ctc_cannot_align_at_the_fastest_speed_is_left_out(source, capsys, tells, kept):
    rows = source((noise(1.0), "ab" * 5), (noise(0.5), "ab" * 5), (noise(0.4875), "ab" * 5), (noise(0.4), "ab" * 5))
    data = datamodule(rows, speeds=[0.5, 2.0], max_bad_fraction=0.5)
    facts = {"audio": {"token_seconds": 0.025}, "transcript": {"ctc": True}}
    data.use_facts(facts, {"audio": Counting(tells=tells)})
    assert [r.id for r in data.datasets["train"].rows] == kept
    assert "3" in {r.id for r in data.datasets["val"].rows}
    assert "m.jsonl:4: CTC needs 10 tokens for the text, 0.40 s are 8" in capsys.readouterr().out


def test_samples_are_as_long_as_is_said_of_their_speed(source):
    data = datamodule(source((noise(0.7654), "yes")), speeds=[0.9, 1.1, 1.37])
    lengths = {len(data.datasets["train"][key].audio) for key in range(20)}
    assert lengths == {played(int(0.7654 * RATE), speed) for speed in (0.9, 1.1, 1.37)}


def test_training_says_once_how_much_of_it_is_padding(source, caplog):
    data = datamodule(source((noise(1.0), "yes"), (noise(0.5), "no")))
    with caplog.at_level("INFO", logger="lightning.pytorch"):
        data.train_dataloader()
        data.train_dataloader()
    said = [r.getMessage() for r in caplog.records if "speech" in r.getMessage()]
    assert said == ["speech to train on: 2 utterances, 0.00 h, in 1 batches, 25.0% of them padding"]


class Loudness(Encoder):
    """Mean size of the samples of each half second, and how often it was asked."""

    width, frozen = 1, True

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def forward(self, modality: Modality) -> Tokens:
        self.asked += len(modality.data)
        step = RATE // 2
        x = modality.data.unflatten(1, (-1, step)).abs().mean(dim=2, keepdim=True)
        return Tokens(x, modality.mask[:, ::step])


def test_features_of_a_frozen_encoder_are_computed_once_and_served(source, tmp_path):
    rows = source((noise(1.0), "yes"), (2 * noise(0.5), "no"))
    encoder = Loudness()
    for _ in range(2):
        data = datamodule(rows, feature_cache=str(tmp_path / "cache"))
        data.cache_features("audio", encoder, torch.device("cpu"))
    assert encoder.asked == 2
    tokens = next(iter(data.train_dataloader())).inputs["audio"]
    assert isinstance(tokens, Tokens)
    assert sorted(tokens.mask.sum(dim=1).tolist()) == [1, 2]
    short = tokens.x[tokens.mask.sum(dim=1) == 1][0, 0]
    torch.testing.assert_close(short, 2 * noise(0.5).abs().mean()[None], rtol=1e-3, atol=1e-3)


def test_prompts_are_a_stream_of_texts_also_beside_cached_features(source, tmp_path):
    rows = source((noise(1.0), "yes"), (noise(0.5), "no"))
    manifest = tmp_path / "m.jsonl"
    first, second = map(json.loads, manifest.read_text().splitlines())
    manifest.write_text(json.dumps(first | {"prompt": "Is it Anna?"}) + "\n" + json.dumps(second))
    prompt = TextProcessor(WordTokenizer(), clean=CLEAN)
    data = datamodule(SpeechManifest(rows.path), prompt=prompt, feature_cache=str(tmp_path / "cache"))
    for name in ("audio", "text"):  # both are frozen
        data.cache_features(name, Loudness(), torch.device("cpu"))
    batch = next(iter(data.val_dataloader()))
    assert isinstance(batch.inputs["audio"], Tokens)
    ids, mask = batch.inputs["text"]
    assert mask.sum(dim=1).tolist() == [0, 3] and ids[1].tolist() == prompt("is it anna").tolist()
    assert data.facts()["text"] == prompt.facts() and data.texts()["text"] == (prompt, ["is it anna"])


def test_each_speed_is_cached_for_training_and_evaluation_plays_as_recorded(source, tmp_path):
    rows = source((noise(1.0), "yes"), (noise(2.0), "no"))
    encoder = Loudness()
    data = datamodule(rows, speeds=[0.5, 1.0, 2.0], feature_cache=str(tmp_path / "cache"))
    data.cache_features("audio", encoder, torch.device("cpu"))
    assert encoder.asked == 6
    dataset = data.datasets["train"]
    heard = [dataset[key] for key in range(40)]
    assert {len(one.audio) for one in heard[::2]} == {1, 2, 4} and {len(one.audio) for one in heard[1::2]} == {2, 4, 8}
    assert [one.id for one in heard[:2]] == [row.id for row in rows] and all(one.encoded for one in heard)
    assert [len(dataset[key].audio) for key in range(40)] == [len(one.audio) for one in heard]
    assert {len(data.datasets["val"][key].audio) for key in range(0, 40, 2)} == {2}


def test_a_cache_does_not_go_with_noise(source):
    with pytest.raises(ValueError, match="leave out augment"):
        datamodule(source((noise(1.0), "yes")), feature_cache="cache", augment=Acoustics())
