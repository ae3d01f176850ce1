"""Transcripts that cannot be written or aligned are named and left out, up to a share."""

import pytest
import torch

from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.data.speech_usable import alignable, unspellable, usable_utterances, writable
from mmtasks.data.tokenizer import BPETokenizer, CharacterTokenizer, WordTokenizer
from mmtasks.errors import UserError


class Rows(list, SpeechSource):
    """Rows in memory."""


def row(text: str, seconds: float = 1.0, language: str = "en") -> SpeechRow:
    return SpeechRow(
        text, text, lambda: Audio(torch.ones(int(16_000 * seconds)), 16_000), f"f:{text}", seconds, "", language
    )


def characters(text: str) -> CharacterTokenizer:
    tokenizer = CharacterTokenizer()
    tokenizer.fit([text])
    return tokenizer


def test_a_character_outside_the_vocabulary_is_named() -> None:
    rows = [row("ab"), row("aé"), row("ba")]
    assert unspellable(rows, characters("ab")) == ["f:aé: the vocabulary has no symbol for 'é'"]
    pairs = BPETokenizer(vocab_size=257)
    pairs.fit([])
    assert unspellable(rows, pairs) == []


def test_a_rare_word_is_not_trained_as_the_unknown_one(capsys) -> None:
    rows = [row("your letter"), row("zebra letter"), row("your letter")]
    tokenizer = WordTokenizer(min_count=2)
    tokenizer.fit(r.text for r in rows)
    assert writable(rows, tokenizer, 100, 0.5) == [rows[0], rows[2]]
    assert "left out 1 broken rows: f:zebra letter: the vocabulary has no symbol for 'zebra'" in capsys.readouterr().out
    with pytest.raises(UserError, match="zebra"):
        writable(rows, tokenizer, 100, 0.1)
    tokenizer.learns_unknown = True
    assert writable(rows, tokenizer, 100, 0.1) == rows


def test_a_text_longer_than_ctc_can_align(capsys) -> None:
    rows = [row("abab", 0.16), row("aabb", 0.16), row("aabb", 0.24)]
    assert alignable(rows, characters("ab"), lambda seconds: round(seconds / 0.04), 0.5) == [rows[0], rows[2]]
    assert "f:aabb: CTC needs 6 tokens for the text, 0.16 s are 4" in capsys.readouterr().out


def test_a_language_without_a_normaliser_is_counted_like_other_bad_rows(capsys) -> None:
    pytest.importorskip("num2words")
    options = {"characters_per_second": (1, 40), "max_seconds": 9}
    rows = Rows([row("3 cats"), row("3 ghosts", language="xx")])
    usable = usable_utterances(rows, AudioProcessor(), ["numbers"], max_bad_fraction=0.5, **options)
    assert [r.text for r in usable] == ["three cats"]
    assert "f:3 ghosts: no words for numbers are known in the language 'xx'" in capsys.readouterr().out
    with pytest.raises(UserError, match="xx"):
        usable_utterances(rows, AudioProcessor(), ["numbers"], max_bad_fraction=0.1, **options)
