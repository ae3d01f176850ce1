"""Several sources as one."""

from functools import partial

import pytest
import torch

from mmtasks.data.audio import Audio
from mmtasks.data.joined import Joined
from mmtasks.data.speech_rows import SpeechRow, SpeechSource


class Few(SpeechSource):
    """Rows with these texts."""

    def __init__(self, *texts: str) -> None:
        load = partial(Audio, torch.zeros(1), 16_000)
        self.rows = [SpeechRow(text, text, load, f"few:{i}") for i, text in enumerate(texts)]
        self.problems = [f"problem of {texts[0]}"]
        self.made: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]

    def make_ahead(self, rows=None) -> None:
        self.made.append(rows)


def texts(joined: Joined) -> str:
    return "".join(row.text for row in joined)


def test_rows_come_source_by_source_as_often_as_asked() -> None:
    sources = [Few("a", "b"), Few("c")]
    assert texts(Joined(sources)) == "abc"
    joined = Joined(sources, times=[1, 3])
    assert texts(joined) == "abccc" and len(joined) == 5
    assert joined[-1].text == "c" and [row.text for row in joined[1:3]] == ["b", "c"]
    assert texts(Joined(sources, limit=2)) == "ab"
    assert joined.problems == ["problem of a", "problem of c"]
    with pytest.raises(IndexError):
        joined[5]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sources": []}, "sources is empty"),
        ({"times": [1, 2]}, r"times \[1, 2\] must be a number from 1 for each of 1"),
        ({"times": [0]}, r"times \[0\]"),
        ({"limit": 0}, "limit 0"),
    ],
)
def test_bad_arguments_are_named(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Joined(**{"sources": [Few("a")], **options})


def test_only_rows_that_are_taken_are_made_ahead_and_each_once() -> None:
    one, other = Few("a", "b"), Few("c", "d", "e")
    Joined([one, other], times=[2, 1], limit=6).make_ahead()
    assert (one.made, other.made) == ([[0, 1]], [[0, 1]])
    Joined([one, other]).make_ahead([1, 4])
    assert (one.made[1:], other.made[1:]) == ([[1]], [[2]])
