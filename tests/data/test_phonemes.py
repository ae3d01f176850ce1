"""Transcripts as sounds."""

import pickle
from pathlib import Path

import pytest

from mmtasks.config import describe, instantiate
from mmtasks.data.phonemes import PhonemeTokenizer
from mmtasks.errors import UserError

DICTIONARY = """;;; a comment
go G OW

to T UW
two T UW
to(2) T AH
bed B EH D
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "words.dict").write_text(DICTIONARY)
    return tmp_path / "words.dict"


def test_words_become_their_sounds_and_back(file: Path) -> None:
    tokenizer = PhonemeTokenizer(str(file))
    tokenizer.fit(["go to bed", "to bed"])
    assert tokenizer.tokens("go to bed") == ["G", "OW", "|", "T", "UW", "|", "B", "EH", "D"]
    ids = tokenizer.encode("go to bed")
    assert [tokenizer.symbols[i] for i in ids] == tokenizer.tokens("go to bed")
    assert tokenizer.decode([*ids, tokenizer.pad_id]) == "go to bed"
    assert tokenizer.vocab_size == 3 + 8
    assert [i for i in range(1, len(ids)) if tokenizer.begins_word(ids[i], ids[i - 1])] == [2, 5]


def test_of_words_that_sound_alike_the_most_frequent_is_taken(file: Path) -> None:
    for texts, first in ((["two", "two to"], "two"), (["to"], "to"), (["two"], "two"), (["bed"], "to")):
        tokenizer = PhonemeTokenizer(str(file))
        tokenizer.fit(texts)
        assert tokenizer.decode(tokenizer.encode("to")) == first


def test_another_pronunciation_is_understood_too(file: Path) -> None:
    tokenizer = PhonemeTokenizer(str(file))
    tokenizer.fit(["to"])
    t, ah, d = (tokenizer.symbols.index(symbol) for symbol in ("T", "AH", "D"))
    assert tokenizer.decode([t, ah]) == "to"
    assert tokenizer.pronunciations()["to"] == [tuple(tokenizer.encode("two")), (t, ah)]
    assert tokenizer.decode([t, d]) == "td"


def test_a_word_without_entry_is_unknown(file: Path) -> None:
    tokenizer = PhonemeTokenizer(str(file))
    tokenizer.fit(["go"])
    assert tokenizer.tokens("go zebra \ud800") == ["G", "OW", "|", "<unk>", "|", "<unk>"]
    assert tokenizer.unknown("go zebra") == ["zebra"]
    assert tokenizer.decode(tokenizer.encode("go zebra bed")) == "go bed"


def test_a_second_dictionary_adds_words(file: Path, tmp_path: Path) -> None:
    (tmp_path / "own.dict").write_text("zebra Z IY B R AH\nbed B AH D\n")
    tokenizer = PhonemeTokenizer([str(tmp_path / "own.dict"), str(file)])
    tokenizer.fit(["go"])
    assert tokenizer.tokens("zebra bed") == ["Z", "IY", "B", "R", "AH", "|", "B", "AH", "D"]


def test_probabilities_and_comments_of_other_dictionaries_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "mfa.dict").write_text(
        "# all of it\n'bout\t0.99\t0.33\t1.35\tB AW1 T\naalborg AO1 L B # place, danish\n"
    )
    tokenizer = PhonemeTokenizer(str(tmp_path / "mfa.dict"))
    tokenizer.fit(["'bout"])
    assert tokenizer.tokens("'bout aalborg") == ["B", "AW1", "T", "|", "AO1", "L", "B"]
    assert len(tokenizer.pronunciations()) == 2


def test_state_needs_no_file(file: Path) -> None:
    tokenizer = PhonemeTokenizer(str(file))
    tokenizer.fit(["two to bed two"])
    file.unlink()
    again = instantiate(describe(tokenizer))
    again.load_state_dict(tokenizer.state_dict())
    for copy in (again, pickle.loads(pickle.dumps(tokenizer))):
        assert copy.state_dict() == tokenizer.state_dict()
        assert copy.decode(copy.encode("to")) == "two"
        assert copy.pronunciations() == tokenizer.pronunciations()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("go G OW\nto\n", r"words.dict:2: 'to' is no word with its sounds; write"),
        ("to T | UW\n", r"words.dict:1: 'to T | UW' is no word".replace("|", r"\|")),
        ("to T UW\n", r"words.dict: has no word of the training texts; clean them"),
        ("", r"words.dict: has no word of the training texts"),
    ],
)
def test_a_dictionary_that_cannot_be_used_is_named(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        PhonemeTokenizer(str(file)).fit(["go"] if text.startswith("go") else ["bed"])


def test_use_before_fit_and_a_missing_file_say_what_to_do(tmp_path: Path) -> None:
    tokenizer = PhonemeTokenizer(str(tmp_path / "no.dict"))
    for use in (tokenizer.encode, lambda _: tokenizer.decode([1]), lambda _: tokenizer.state_dict()):
        with pytest.raises(RuntimeError, match="call fit"):
            use("a")
    with pytest.raises(UserError, match=r"no\.dict"):
        tokenizer.fit(["a"])
