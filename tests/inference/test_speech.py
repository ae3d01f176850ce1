"""Recordings of any length, piece by piece."""

import itertools
import textwrap

import pytest
import torch

from mmtasks.data.audio import Audio
from mmtasks.data.cutter import Piece
from mmtasks.data.voice_activity import EnergyDetector
from mmtasks.inference.speech import Segment, Transcriber
from mmtasks.inference.transcripts import cues
from mmtasks.types import Heard, Word
from tests.inference.test_streaming import RATE, Mean, NotZero, Spelled, transcriber

SAID = torch.cat([torch.full((640,), symbol / 10) for symbol in [3] * 6 + [4] * 6])
RECORDING = torch.cat([torch.cat([torch.zeros(RATE), SAID]).repeat(12), torch.zeros(3 * RATE), SAID])


def made(window: float | None, **options) -> tuple[Transcriber, list[int]]:
    """A model that fills up to a window, and a list of how many recordings it reads at once."""
    encoder, objective = Mean(), Spelled()
    encoder.window, objective.raw = window, Mean()
    model, sizes = transcriber(encoder, objective, []), []
    made = Transcriber(model.model, **options)
    read = made.read

    def counted(recordings, *others):
        sizes.append(len(recordings))
        return read(recordings, *others)

    made.read = counted
    return made, sizes


def test_a_model_that_fills_up_its_window_is_given_full_ones() -> None:
    once, apart = (list(made(window)[0].segments(RECORDING.split(9000), NotZero())) for window in (6.0, None))
    assert len(apart) == 13 and len(once) == 5
    for single in apart:
        [joined] = [segment for segment in once if segment.start <= single.start + 0.01 <= segment.end]
        assert single.end <= joined.end + 0.01 and joined.text
    assert all(segment.end - segment.start <= 6.0 for segment in once)
    assert once[-1].start == pytest.approx(apart[-1].start)  # three seconds of silence are not read over


@pytest.mark.parametrize(("window", "most"), [(None, 8), (2.0, 4), (30.0, 1)])
def test_a_step_holds_no_more_than_its_seconds_filled_up(window: float | None, most: int) -> None:
    model, sizes = made(window, batch_seconds=8.0)
    recordings = [Audio(SAID, RATE)] * 12
    assert [heard.text for heard in model.hear(recordings)] == [model.hear(recordings[:1])[0].text] * 12
    assert max(sizes) == min(most if window else int(8.0 / recordings[0].seconds), 12)


@pytest.mark.parametrize("window", [None, 6.0])
def test_steps_side_by_side_hear_the_same(window: float | None) -> None:
    blocks = RECORDING.split(9000)
    alone, together = (made(window, batch_seconds=6.0, at_once=at_once) for at_once in (1, 3))
    said = list(alone[0].segments(blocks, NotZero()))
    assert list(together[0].segments(blocks, NotZero())) == said and any(segment.text for segment in said)
    assert sorted(together[1]) == sorted(alone[1]) and len(alone[1]) > 1


def test_of_what_is_too_short_for_a_token_there_is_no_score() -> None:
    """With a model that has one token less than others, none of the shorter recording."""
    model, _ = made(None)
    read = model.read

    def shortened(recordings, *others):
        output = read(recordings, *others)
        lengths = torch.tensor([len(recording) // 640 - 1 for recording in recordings])
        return output._replace(mask=torch.arange(output.mask.shape[1]) < lengths[:, None])

    model.read = shortened
    short, long = model.hear([Audio(SAID[:640], RATE), Audio(SAID, RATE)])
    assert short == ("", None, []) and long.text and long.score < 0


def test_each_recording_is_looked_through_for_speech_by_itself() -> None:
    model, _ = made(None)
    detector = NotZero()
    quiet, odd = Audio(torch.zeros(2 * RATE), RATE), Audio(SAID[:5000], RATE)  # ends within a frame of decision
    answers = [model.spoken(audio, detector) for audio in (odd, quiet, odd, quiet, Audio(SAID[:10], RATE))]
    assert answers == [True, False, True, False, False]
    level = EnergyDetector()
    close, faint = Audio(0.3 * torch.ones(RATE // 2), RATE), Audio(0.001 * torch.ones(RATE), RATE)
    assert [model.spoken(audio, level) for audio in (quiet, close, faint, close)] == [False, True, False, True]


def test_long_segments_without_times_become_several_subtitles() -> None:
    segment = Segment(10.0, 38.0, " ".join(f"word{i}" for i in range(80)), 0.0, [])
    parts = list(cues(segment))
    assert " ".join(part.text for part in parts) == segment.text
    assert parts[0].start == 10.0 and parts[-1].end == 38.0
    assert all(part.end - part.start <= 7.0 and len(part.text) <= 84 for part in parts)
    assert all(one.end == other.start for one, other in itertools.pairwise(parts))


@pytest.mark.parametrize(
    "words",
    [
        [Word("hello", 0.4, 0.6), Word("world", 0.7, 1.0)],
        [Word("x" * 30, float(i), i + 0.5) for i in range(6)],
        [Word("late", 8.0, 8.4), Word("later", 20.5, 20.9)],
        [Word("drawn", 0.3, 9.0), Word("out", 9.5, 9.6)],
    ],
    ids=["long silence after", "three lines of two words", "long silence before", "long word"],
)
def test_a_subtitle_keeps_to_its_lines_and_seconds(words: list[Word]) -> None:
    segment = Segment(0.2, 20.0, " ".join(word.text for word in words), 0.0, words)
    parts = list(cues(segment))
    assert " ".join(part.text for part in parts) == segment.text
    assert all(0 < part.end - part.start <= 7.0 for part in parts)
    assert all(len(textwrap.wrap(part.text, 42)) <= 2 for part in parts)
    assert all(one.end <= other.start for one, other in itertools.pairwise(parts))


def test_neighbours_say_a_word_at_their_cut_once_and_hold_their_words(monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = made(None)
    sound = torch.ones(RATE * 4)
    pieces = [
        (Piece(Audio(sound, RATE, 0.0), 0.192, 3.4, True), [Word("go", 0.18, 0.6), Word("up", 3.2, 3.61)]),
        (Piece(Audio(sound, RATE, 2.8), 3.4, 6.2, True), [Word("up", 3.15, 3.6), Word("now", 5.0, 5.4)]),
        (Piece(Audio(sound, RATE, 8.0), 8.1, 9.0, False), [Word("end", 8.5, 9.04)]),
    ]
    heard = [(piece, Heard(" ".join(w.text for w in words), -0.1, words)) for piece, words in pieces]
    monkeypatch.setattr(model, "_pieces", lambda *_: iter(heard))
    found = list(model.segments([]))
    assert [segment.text for segment in found] == ["go up", "now", "end"]
    assert [(segment.start, segment.end) for segment in found] == [(0.18, 3.61), (3.61, 6.2), (8.1, 9.04)]
