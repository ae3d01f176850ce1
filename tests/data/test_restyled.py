"""Transcripts in the style of what a model heard."""

from pathlib import Path

import pytest
import torch

from mmtasks.data.audio import Audio
from mmtasks.data.joined import Joined
from mmtasks.data.restyled import Restyled, restyle
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.errors import UserError


class Said(SpeechSource):
    """Rows with these texts, named by their place."""

    def __init__(self, *texts: str) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> SpeechRow:
        return SpeechRow(str(index), self.texts[index], lambda: Audio(torch.zeros(1), 16_000), f"said:{index}")


@pytest.mark.parametrize(
    ("said", "heard", "expected"),
    [
        ("we saw brigham", "We saw Brigham.", "We saw Brigham."),
        ("we saw brigham there", "We saw bring him, there.", "We saw brigham, there."),
        ("the old comstock rode", "The old Combstock rode!", "The old Comstock rode!"),
        ("he said nothing more", "He said more.", "He said nothing more."),
        ("chapter fifteen", "Chapter 15.", "Chapter fifteen."),
        ("it's o'clock", "It's O'Clock...", "It's O'Clock..."),
        ("a word", "", "a word"),
    ],
)
def test_the_words_are_those_said_and_the_writing_is_that_heard(said: str, heard: str, expected: str) -> None:
    assert restyle(said, heard) == expected


def test_rows_of_a_source_get_the_texts(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    heard.write_text('{"id": "1", "text": "To Bed!", "score": 1}\n{"id": "0", "text": "Go up."}')
    rows = Restyled(Said("go up", "to bet"), str(heard))
    assert [(row.id, row.text, row.where) for row in rows] == [("0", "Go up.", "said:0"), ("1", "To Bet!", "said:1")]
    assert [row.text for row in Joined([rows, Said("no")])] == ["Go up.", "To Bet!", "no"]


def test_a_row_that_was_not_heard_is_named(tmp_path: Path) -> None:
    heard = tmp_path / "heard.jsonl"
    heard.write_text('{"id": "0", "text": "Go up."}')
    with pytest.raises(UserError, match="heard.jsonl: lacks 1 rows, first said:1"):
        Restyled(Said("go up", "to bed"), str(heard))
