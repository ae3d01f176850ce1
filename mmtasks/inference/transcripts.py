"""Transcripts as text, subtitles or JSON, written segment by segment, so that a stop leaves what was heard."""

import html
import json
import math
import textwrap
from collections.abc import Iterator
from typing import TextIO

from mmtasks.inference.speech import Segment
from mmtasks.types import Word
from mmtasks.voice.grammar import Grammar

LINE, LINES, SECONDS = 42, 2, 7.0
"""Characters of a subtitle's line, its lines, and how long it may stand."""


class TextWriter:
    """A line for each segment, and their ``count``. Base class: ``close`` ends the file, also after a stop.

    Args:
        file: to write to.
        name: of the recording.
        grammar: of voice commands, for formats that tell them.
    """

    def __init__(self, file: TextIO, name: str, *, grammar: Grammar | None = None) -> None:
        self.file = file
        self.grammar = grammar
        self.count = 0
        self.begin(name)

    def begin(self, name: str) -> None:
        """What comes first."""

    def add(self, segment: Segment) -> None:
        """One segment, at once."""
        self.write(segment)
        self.file.flush()
        self.count += 1

    def write(self, segment: Segment) -> None:
        """What a format makes of a segment."""
        self.file.write(segment.text + "\n")

    def close(self) -> None:
        """What comes last."""
        self.file.flush()


class SubRipWriter(TextWriter):
    """SubRip: numbered cues."""

    number = 0

    def write(self, segment: Segment) -> None:
        """Its cues."""
        for cue in cues(segment):
            self.number += 1
            times = f"{clock(cue.start, ',')} --> {clock(cue.end, ',')}"
            self.file.write(f"{self.number}\n{times}\n{_wrapped(cue.text)}\n\n")


class WebVTTWriter(TextWriter):
    """WebVTT, in which ``&``, ``<`` and ``>`` are markup."""

    def begin(self, name: str) -> None:
        """The format's first line."""
        self.file.write("WEBVTT\n\n")

    def write(self, segment: Segment) -> None:
        """Its cues."""
        for cue in cues(segment):
            text = html.escape(_wrapped(cue.text), quote=False)
            self.file.write(f"{clock(cue.start, '.')} --> {clock(cue.end, '.')}\n{text}\n\n")


class JsonWriter(TextWriter):
    """``{"audio", "segments": [{"start", "end", "text", "score", "words"}], "text"}``; times in seconds.

    The score is null where there is none: of words that were written while they were spoken.
    A segment that is a command of the grammar also has ``"command": {"intent", "slots"}``.
    """

    def begin(self, name: str) -> None:
        """The name of the recording."""
        self._texts: list[str] = []
        self.file.write('{"audio": ' + json.dumps(name) + ', "segments": [')

    def write(self, segment: Segment) -> None:
        """Its text, its words, and what it commands."""
        words = [{"word": w.text, "start": round(w.start, 3), "end": round(w.end, 3)} for w in segment.words]
        row = {"start": round(segment.start, 3), "end": round(segment.end, 3), "text": segment.text}
        row |= {"score": rounded(segment.score), "words": words}
        if self.grammar is not None and (command := self.grammar.parse(segment.text)) is not None:
            row["command"] = command
        self.file.write((",\n" if self._texts else "\n") + json.dumps(row, ensure_ascii=False, allow_nan=False))
        self._texts.append(segment.text)

    def close(self) -> None:
        """The whole text."""
        self.file.write('],\n"text": ' + json.dumps(" ".join(self._texts), ensure_ascii=False) + "}\n")
        self.file.flush()


WRITERS: dict[str, type[TextWriter]] = {"txt": TextWriter, "srt": SubRipWriter, "vtt": WebVTTWriter, "json": JsonWriter}


def cues(segment: Segment) -> Iterator[Word]:
    """A segment in parts short enough to be read at once, each with its times; a word too long for that stands alone.

    The first part stands from the segment's start and the last one to its end, as far as ``SECONDS`` allow.

    >>> words = [Word(f"word{i}", i, i + 0.8) for i in range(10)]
    >>> [(cue.start, cue.end) for cue in cues(Segment(0, 10, " ".join(w.text for w in words), 0.0, words))]
    [(0, 6.8), (7, 10)]
    """
    parts: list[list[Word]] = []
    for word in segment.words or spread(segment):
        if not parts or not _readable([*parts[-1], word]):
            parts.append([])
        parts[-1].append(word)
    for part in parts:
        start, end = part[0].start, part[-1].end
        if part is parts[0]:
            start = min(start, max(segment.start, end - SECONDS))
        if part is parts[-1]:
            end = max(end, segment.end)
        yield Word(_text(part), start, min(end, start + SECONDS))


def spread(segment: Segment) -> Iterator[Word]:
    """The words of a segment that has none with times, in times that assume an even pace.

    >>> [tuple(word) for word in spread(Segment(10, 20, "go up now", 0.0, []))]
    [('go', 10.0, 13.0), ('up', 13.0, 16.0), ('now', 16.0, 20.0)]
    """
    texts = segment.text.split()
    pace = (segment.end - segment.start) / max(1, sum(len(text) + 1 for text in texts))
    start = float(segment.start)
    for text in texts:
        end = start + pace * (len(text) + 1)
        yield Word(text, start, end)
        start = end


def rounded(score: float | None) -> float | None:
    """A score as it is written; None, ``null`` in JSON, where there is none, or no number."""
    return None if score is None or not math.isfinite(score) else round(score, 4)


def clock(seconds: float, mark: str) -> str:
    """Hours, minutes, seconds, milliseconds.

    >>> clock(3661.5, ",")
    '01:01:01,500'
    """
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{rest // 1000:02d}{mark}{rest % 1000:03d}"


def _text(words: list[Word]) -> str:
    return " ".join(word.text for word in words)


def _readable(words: list[Word]) -> bool:
    """Whether so much can stand at once."""
    return len(_lines(_text(words))) <= LINES and words[-1].end - words[0].start <= SECONDS


def _lines(text: str) -> list[str]:
    return textwrap.wrap(text, LINE)


def _wrapped(text: str) -> str:
    return "\n".join(_lines(text)) or text
