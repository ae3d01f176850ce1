"""The page of the worst utterances."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import soundfile
import torch

from mmtasks.data.audio import Audio
from mmtasks.inference.utterance_page import Pair, align_words, aligned_lines, worst, write_page
from mmtasks.metrics.words import Transcript

WRONG = Transcript("<b>1", "turn <the> light off", "please turn light of")


def test_words_are_paired_by_the_fewest_edits() -> None:
    assert align_words(WRONG) == [
        Pair("", "please", "insertions"),
        Pair("turn", "turn", ""),
        Pair("<the>", "", "deletions"),
        Pair("light", "light", ""),
        Pair("off", "of", "substitutions"),
    ]
    assert aligned_lines(WRONG) == "  said  *      turn <the> light off\n  heard please turn *     light of"


def test_the_worst_come_first_and_right_ones_not_at_all() -> None:
    right, half, long = Transcript("r", "a", "a"), Transcript("h", "a b", "a"), Transcript("l", "a b c d", "a b")
    assert worst([right, half, long, WRONG], 9) == [WRONG, long, half]
    assert worst([half, long], 1) == [long]


def test_utterances_of_one_id_are_judged_apart() -> None:
    right, half = Transcript("1", "a", "a"), Transcript("1", "a b", "a")
    assert worst([half, right], 9) == worst([right, half], 9) == [half]


def test_the_page_escapes_texts_and_holds_the_recordings(tmp_path: Path) -> None:
    tone = 0.5 * torch.sin(torch.arange(8000) * 0.3)
    write_page(tmp_path / "p.html", "a & b", [(WRONG, Audio(tone, 8000))])
    page = (tmp_path / "p.html").read_text()
    assert "&lt;the&gt;" in page and "&lt;b&gt;1" in page and "a &amp; b" in page
    found: list[str] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, _: found.append(tag)  # type: ignore[method-assign]
    parser.feed(page)
    assert {"the", "b"}.isdisjoint(found) and found.count("audio") == 1 and found.count("td") == 10
    [encoded] = re.findall(r"data:audio/ogg;base64,([^\"]+)", page)
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(encoded)))
    write_page(tmp_path / "p.html", "none", [(WRONG, None)])
    assert "&lt;the&gt;" in (tmp_path / "p.html").read_text()
    assert "<audio" not in (tmp_path / "p.html").read_text()
    assert abs(len(samples) / rate - 1) < 0.05 and abs(samples).max() > 0.3
