"""The vocabulary of Whisper from a file of ranks."""

import sys

import pytest

from mmtasks.data.whisper_tokenizer import WhisperTokenizer
from mmtasks.errors import UserError
from mmtasks.metrics.words import Transcript, WordErrors
from tests.small_whisper import make_whisper


@pytest.fixture
def package(tmp_path, monkeypatch):
    make_whisper(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "whisper", raising=False)


@pytest.mark.usefixtures("package")
def test_texts_begin_with_a_space_and_special_symbols_follow_the_vocabulary() -> None:
    tokenizer = WhisperTokenizer()
    tokenizer.fit([])
    ids = tokenizer.encode("the é")
    assert ids[0] == 258 and tokenizer.decode(ids) == " the é"
    assert tokenizer.pad_id == 259
    names = ["<|startoftranscript|>", "<|en|>", "<|notimestamps|>", "<|0.00|>", "<|30.00|>"]
    assert tokenizer.vocab_size == 259 + 2 + 99 + 6 + 1501
    state = tokenizer.state_dict()["json"]
    assert all(name in state for name in names)


def test_without_the_package_it_is_named(monkeypatch) -> None:
    monkeypatch.setattr("mmtasks.data.packaged.find_spec", lambda _: None)
    with pytest.raises(UserError, match="pip install --no-deps openai-whisper"):
        WhisperTokenizer().fit([])


@pytest.mark.usefixtures("package")
def test_both_sides_are_normalised() -> None:
    errors = WordErrors(normaliser="whisper_english")
    errors.update([Transcript("a", "it's chapter fifteen colour", "It is Chapter 15, color.")])
    assert errors.compute()["wer"] == 0
    plain = WordErrors()
    plain.update([Transcript("a", "it's chapter fifteen colour", "It is Chapter 15, color.")])
    assert plain.compute()["wer"] > 1


def test_a_normaliser_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="normaliser 'german' is none of"):
        WordErrors(normaliser="german")
