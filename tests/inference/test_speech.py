"""Recordings of any length, piece by piece."""

import itertools

import pytest
import torch

from mmtasks.data.audio import Audio
from mmtasks.data.voice_activity import EnergyDetector
from mmtasks.inference.speech import Segment, Transcriber
from mmtasks.inference.transcripts import cues
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

    def counted(recordings, films=()):
        sizes.append(len(recordings))
        return read(recordings, films)

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


def test_of_what_is_too_short_for_a_token_there_is_no_score() -> None:
    """With a model that has one token less than others, none of the shorter recording."""
    model, _ = made(None)
    read = model.read

    def shortened(recordings, films=()):
        output = read(recordings, films)
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
