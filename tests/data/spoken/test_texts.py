"""Texts of files, read aloud."""

from collections import Counter
from pathlib import Path

import pytest

from mmtasks.data.spoken.texts import SpokenTexts
from mmtasks.data.spoken.voices import VARIANTS

pytest.importorskip("espeakng_loader")
SENTENCE = "one two three four five six seven eight nine ten"


@pytest.fixture
def lines(tmp_path: Path) -> str:
    (tmp_path / "lines.txt").write_text("go home\nstop\nplay the song\n")
    return str(tmp_path / "lines.txt")


@pytest.fixture
def words(tmp_path: Path) -> str:
    (tmp_path / "words.txt").write_text("\n".join(f"word{i}" for i in range(50)))
    return str(tmp_path / "words.txt")


def test_each_text_is_read_once_before_one_is_read_again(lines: str) -> None:
    assert Counter(SpokenTexts(lines).texts) == {"go home": 1, "stop": 1, "play the song": 1}
    often = SpokenTexts(lines, number=7)
    assert len(often) == 7 and sorted(Counter(often.texts).values()) == [2, 2, 3]
    assert sorted(often.texts[:3]) == sorted(often.texts[3:6])
    assert len({row.speaker for row in often}) == 7


def test_rows_repeat_with_the_seed_and_name_their_line(lines: str) -> None:
    first, again, other = (SpokenTexts(lines, number=6, seed=seed) for seed in (0, 0, 1))
    assert first[4].load().samples.equal(again[4].load().samples) and first[4].seconds > 0.2
    assert [row.speaker for row in first] == [row.speaker for row in again] != [row.speaker for row in other]
    assert {(row.where, row.text) for row in first} == {
        ("lines.txt:1", "go home"),
        ("lines.txt:2", "stop"),
        ("lines.txt:3", "play the song"),
    }
    assert len({row.id for row in [*first, *other]}) == 12


def test_of_long_texts_a_part_is_read_another_each_time(tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(SENTENCE)
    parts = SpokenTexts(str(tmp_path / "long.txt"), number=30, words=(2, 4)).texts
    assert all(part in SENTENCE for part in parts) and len(set(parts)) > 10
    assert {len(part.split()) for part in parts} == {2, 3, 4}


def test_short_texts_are_read_one_after_the_other(words: str) -> None:
    source = SpokenTexts(words, words=(4, 6))
    assert all(4 <= len(text.split()) <= 6 for text in source.texts[:-1])
    assert sorted(word for text in source.texts for word in text.split()) == sorted(f"word{i}" for i in range(50))
    first = SpokenTexts(words, words=(1, 3), limit=5, number=40).texts
    assert {word for text in first for word in text.split()} == {f"word{i}" for i in range(5)}


def test_voices_are_those_of_the_split(lines: str) -> None:
    speakers = {row.speaker.split("+")[1].split("-")[0] for row in SpokenTexts(lines, number=20, split="test")}
    assert speakers <= set(VARIANTS["test"])


def test_accents_may_be_chosen(lines: str) -> None:
    chosen, all_of_them = (SpokenTexts(lines, number=20, accents=accents) for accents in (["en-us"], None))
    assert {row.speaker.split("+")[0] for row in chosen} == {"en-us"}
    assert len({row.speaker.split("+")[0] for row in all_of_them}) > 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"words": (3, 2)}, r"words \[3, 2\]"),
        ({"words": (0, 2)}, r"words \[0, 2\]"),
        ({"limit": 0}, "limit 0"),
        ({"number": 0}, "number 0"),
        ({"split": "dev"}, "split must be one of"),
    ],
)
def test_bad_arguments_are_named(lines: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpokenTexts(lines, **options)
