"""Transcripts beside what was said: as lines, and as an HTML page in which the recordings can be played."""

import base64
import html
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import soundfile
from rapidfuzz.distance import Levenshtein

from mmtasks.data.audio import Audio, resample
from mmtasks.inference.output import write
from mmtasks.metrics.words import KINDS, Transcript

RATE = 16_000
STYLE = """
body { font: 16px/1.4 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em }
table { border-collapse: collapse; display: block; overflow-x: auto } td, th { padding: 0 .4em; text-align: left }
.substitutions { background: #ffe0b0 } .deletions { background: #ffc8c8 } .insertions { background: #c8d8ff }
audio { display: block; margin: .3em 0 }
"""


class Pair(NamedTuple):
    """A word said and a word heard, one of them empty for a deletion or insertion; kind: of the edit, or empty."""

    said: str
    heard: str
    kind: str


def align_words(transcript: Transcript) -> list[Pair]:
    """The fewest edits of words from what was said to what was heard.

    >>> [pair.kind for pair in align_words(Transcript("1", "turn the light off", "turn light of"))]
    ['', 'deletions', '', 'substitutions']
    """
    said, heard = transcript.reference.split(), transcript.hypothesis.split()
    pairs = []
    for step in Levenshtein.opcodes(said, heard):
        count = max(step.src_end - step.src_start, step.dest_end - step.dest_start)
        sides = (said[step.src_start : step.src_end], heard[step.dest_start : step.dest_end])
        left, right = (side or [""] * count for side in sides)
        pairs += [Pair(a, b, KINDS.get(step.tag, "")) for a, b in zip(left, right, strict=True)]
    return pairs


def worst(transcripts: Sequence[Transcript], count: int) -> list[Transcript]:
    """Those with the most edits a word said, the longer ones first among equals; none without an edit."""
    edits = [sum(bool(pair.kind) for pair in align_words(transcript)) for transcript in transcripts]
    words = [len(transcript.reference.split()) for transcript in transcripts]
    wrong = [i for i in range(len(transcripts)) if edits[i]]
    wrong.sort(key=lambda i: (-edits[i] / max(words[i], 1), -words[i]))
    return [transcripts[i] for i in wrong[:count]]


def aligned_lines(transcript: Transcript) -> str:
    """Said over heard, words that belong together in one column."""
    pairs = align_words(transcript)
    widths = [max(len(pair.said), len(pair.heard), 1) for pair in pairs]
    said = " ".join((pair.said or "*").ljust(width) for pair, width in zip(pairs, widths, strict=True))
    heard = " ".join((pair.heard or "*").ljust(width) for pair, width in zip(pairs, widths, strict=True))
    return f"  said  {said.rstrip()}\n  heard {heard.rstrip()}"


def write_page(path: Path, title: str, utterances: Sequence[tuple[Transcript, Audio | None]]) -> None:
    """One file that needs no other: the recordings that are given are in it, as Ogg Opus."""
    body = "\n".join(_utterance(*utterance) for utterance in utterances)
    head = f'<meta charset="utf-8"><title>{html.escape(title)}</title><style>{STYLE}</style>'
    legend = " ".join(f'<span class="{kind}">{kind}</span>' for kind in KINDS.values())
    write(path, f"<!doctype html>\n{head}\n<h1>{html.escape(title)}</h1>\n<p>{legend}</p>\n{body}\n")


def _utterance(transcript: Transcript, audio: Audio | None) -> str:
    pairs = align_words(transcript)
    rows = "\n".join(
        f"<tr><th>{name}</th>{''.join(_cells(pairs, side))}</tr>" for name, side in (("said", 0), ("heard", 1))
    )
    return f"<h2>{html.escape(transcript.id)}</h2>\n{_player(audio)}\n<table>\n{rows}\n</table>"


def _cells(pairs: list[Pair], side: int) -> Iterator[str]:
    for pair in pairs:
        yield (
            f'<td class="{pair.kind}">{html.escape(pair[side])}</td>'
            if pair.kind
            else f"<td>{html.escape(pair[side])}</td>"
        )


def _player(audio: Audio | None) -> str:
    if audio is None:
        return ""
    file = io.BytesIO()
    soundfile.write(file, resample(audio, RATE).samples.clamp(-1, 1).numpy(), RATE, format="OGG", subtype="OPUS")
    return f'<audio controls src="data:audio/ogg;base64,{base64.b64encode(file.getvalue()).decode()}"></audio>'
