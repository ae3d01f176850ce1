"""Transcripts written as a model writes: its capitals and punctuation, but the words that were said."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from rapidfuzz.distance import Levenshtein

from mmtasks.data.manifest import expand, read_rows
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.errors import UserError


class Restyled(SpeechSource):
    """The rows of a source, their texts in the style of what a model heard of them.

    For tuning a model that writes capitals and punctuation on transcripts without: it then learns from its mistakes
    alone, and keeps what it knows of names. Leave ``lowercase`` out of the cleaning steps.

    Args:
        source: the rows.
        heard: a manifest (``.jsonl``, ``.csv``) with ``id`` and ``text``, as ``mmtasks predict`` writes it.

    Raises:
        UserError: the file cannot be read, or lacks a row.
    """

    def __init__(self, source: SpeechSource, heard: str) -> None:
        texts = {
            str(row["id"]): str(row.get("text") or "") for _, row in read_rows(expand(heard), columns=["id", "text"])
        }
        if lacking := [row.where for row in source if row.id not in texts]:
            raise UserError(f"{heard}: lacks {len(lacking)} rows, first {lacking[0]}; predict the whole source")
        self.source = source
        self.heard = heard
        self.problems = source.problems
        self._rows = [replace(row, text=restyle(row.text, texts[row.id])) for row in source]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        """Row ``index``, or a list of rows for a slice."""
        rows: list[SpeechRow] | SpeechRow = self._rows[index]
        return rows

    def make_ahead(self, rows: Sequence[int] | None = None) -> None:
        """By the source itself."""
        self.source.make_ahead(rows)


def restyle(said: str, heard: str) -> str:
    """The words of one text, written as in another where they are the same.

    What was heard wrong keeps its capital, and the punctuation after it.

    >>> restyle("mister comstock rode on", "Mister Combstock, rode. On?")
    'Mister Comstock, rode. On?'
    """
    right, written = said.split(), heard.split()
    words: list[str] = []
    for edit in Levenshtein.opcodes([_plain(word) for word in right], [_plain(word) for word in written]):
        theirs = written[edit.dest_start : edit.dest_end]
        ours = right[edit.src_start : edit.src_end]
        if edit.tag == "equal":
            words += theirs
        elif edit.tag == "replace":
            words += [_in_style(*pair) for pair in zip(ours, theirs, strict=True)]
        else:  # missed, or made up
            words += ours
    return " ".join(words)


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())


def _in_style(word: str, heard: str) -> str:
    end = heard[len(heard.rstrip(".,;:!?")) :]
    return (word[:1].upper() + word[1:] if heard[:1].isupper() else word) + end
