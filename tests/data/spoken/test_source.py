"""The spoken world: rows repeat with the seed, splits share neither sentences nor voices."""

import pickle

import pytest
import torch

from mmtasks.data import processes
from mmtasks.data.acoustics import Acoustics
from mmtasks.data.scenes.splits import SPLITS
from mmtasks.data.spoken import source as spoken_source
from mmtasks.data.spoken.commands import signature_of
from mmtasks.data.spoken.source import SpokenCaptions, SpokenCommands
from mmtasks.data.spoken.synthesis import variants
from mmtasks.data.spoken.voices import PITCHES, SPEEDS, VARIANTS

pytest.importorskip("espeakng_loader")
NUMBERS = {"train": 4000, "val": 200, "test": 500}


@pytest.fixture(scope="module")
def commands() -> dict[str, SpokenCommands]:
    return {split: SpokenCommands(split, number=number) for split, number in NUMBERS.items()}


def samples(row) -> bytes:
    return row.load().samples.numpy().tobytes()


@pytest.mark.parametrize("kind", [SpokenCommands, SpokenCaptions])
def test_rows_repeat_with_the_seed(kind):
    first, again, other = (kind(number=5, seed=seed, acoustics=Acoustics(noise=1)) for seed in (0, 0, 1))
    assert [row.text for row in first] == [row.text for row in again] != [row.text for row in other]
    assert [row.speaker for row in first] == [row.speaker for row in again] != [row.speaker for row in other]
    assert samples(again[3]) == samples(first[3]) != samples(other[3])
    assert len({row.id for row in [*first, *other]}) == 10
    assert [row.id for row in first[1:3]] == [first[1].id, first[2].id]
    assert first[-1].where == f"{kind.name}-train:5"


def test_a_row_knows_its_seconds_once_spoken():
    source = SpokenCommands("val", number=2, rate=8000)
    assert source[0].seconds is None
    audio = source[0].load()
    assert audio.rate == 8000 and source[0].seconds == audio.seconds
    assert samples(source[0]) == audio.samples.numpy().tobytes()


def test_sentences_of_val_and_test_are_never_in_training_but_their_words_are(commands):
    texts = {split: set(source.texts) for split, source in commands.items()}
    assert sum(map(len, texts.values())) == len(set.union(*texts.values()))
    signatures = [{signature_of(*pair) for pair in zip(s.texts, s.commands, strict=True)} for s in commands.values()]
    assert sum(map(len, signatures)) == len(set.union(*signatures))
    words = {split: {word for text in found for word in text.split()} for split, found in texts.items()}
    assert words["val"] | words["test"] <= words["train"]


def test_held_out_commands_are_not_in_training_in_other_words(commands):
    def meanings(split: str) -> set[tuple]:
        found = [(c["intent"], *sorted(c["slots"].items())) for c in commands[split].commands if len(c["slots"]) > 1]
        return set(found)

    assert meanings("test") and not meanings("train") & (meanings("test") | meanings("val"))


def test_splits_share_no_variant_speed_or_pitch(commands):
    for table in (VARIANTS, SPEEDS, PITCHES):
        assert sum(len(set(table[split])) for split in SPLITS) == len({value for s in SPLITS for value in table[s]})
    assert {variant for split in SPLITS for variant in VARIANTS[split]} <= set(variants())
    speakers = [{row.speaker for row in source[:200]} for source in commands.values()]
    assert sum(map(len, speakers)) == len(set.union(*speakers)) > 300


def test_a_pickled_source_gives_the_same_rows_without_carrying_sound():
    source = SpokenCommands("test", number=3, acoustics=Acoustics(noise=1))
    expected = samples(source[1])
    pickled = pickle.dumps(source)
    assert len(pickled) < 10_000
    assert samples(pickle.loads(pickled)[1]) == expected


def test_acoustics_are_part_of_every_split():
    for split in SPLITS:
        dry, wet = (SpokenCommands(split, number=1, acoustics=a)[0].load() for a in (None, Acoustics(noise=1)))
        assert len(dry.samples) == len(wet.samples) and not dry.samples.equal(wet.samples)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"split": "dev"}, "split must be one of"), ({"number": 0}, "number 0"), ({"rate": 100}, "rate 100")],
)
def test_bad_arguments_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        SpokenCommands(**options)


def test_a_grammar_too_small_for_a_split_is_named(tmp_path):
    (tmp_path / "one.yaml").write_text("intents: {stop: [stop]}")
    with pytest.raises(ValueError, match="one.yaml has no sentences for 't"):
        for split in ("test", "train"):  # a single sentence is of one split only
            SpokenCommands(split, number=1, grammar=str(tmp_path / "one.yaml"))


def test_what_is_said_ahead_is_what_would_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """In processes torch computes by one thread, which may round the last of 16 bits otherwise."""
    monkeypatch.setattr(processes, "FEW", 2)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    later, ahead = (SpokenCommands("val", number=6) for _ in range(2))
    ahead.make_ahead([0, 2, 3, 5])
    assert [row.seconds is not None for row in ahead] == [True, False, True, True, False, True]
    monkeypatch.setattr(spoken_source, "in_processes", None)  # nothing is said twice
    ahead.make_ahead([0, 5])
    for one, other in zip(later, ahead, strict=True):
        torch.testing.assert_close(one.load().samples, other.load().samples, rtol=0, atol=1.5 / 32767)
    assert later._phonemes == ahead._phonemes
