"""Pieces of bounded length that together hold all that is said."""

import itertools

import pytest
import torch

from mmtasks.data.cutter import Cutter, Piece
from mmtasks.data.voice_activity import FRAME, RATE, Detector


class Loud(Detector):
    """Speech is what is not zero; half a probability less in frames quieter than 0.5."""

    def decide(self, frames: torch.Tensor) -> torch.Tensor:
        peak = frames.abs().amax(dim=1)
        return (peak > 0).float() * (0.4 + 0.6 * (peak > 0.5).float())


def sound(*parts: tuple[float, float]) -> torch.Tensor:
    """Constant samples: (level, frames) after one another."""
    return torch.cat([torch.full((int(frames * FRAME),), float(level)) for level, frames in parts])


def cut(samples: torch.Tensor, block: int, **options: float) -> list[Piece]:
    return list(Cutter(Loud(), **options)(samples.split(block), RATE))


SPEECH = sound((0, 50), (1, 40), (0, 5), (1, 20), (0, 100), (1, 30), (0, 20))


@pytest.mark.parametrize("block", [700, 5000, 10**6])
def test_pieces_end_at_long_silences_whatever_the_blocks(block: int) -> None:
    pieces = cut(SPEECH, block, margin=0.064)
    assert [(round(p.start / 0.032), round(p.end / 0.032)) for p in pieces] == [(50, 115), (215, 245)]
    for piece in pieces:
        start = round(piece.audio.start * RATE)
        torch.testing.assert_close(piece.audio.samples, SPEECH[start : start + len(piece.audio.samples)])
        assert round((piece.start - piece.audio.start) / 0.032) == 2
        assert not piece.shared


def test_speech_without_pause_is_cut_where_it_is_least_likely() -> None:
    samples = sound((0, 10), (1, 80), (0.1, 3), (1, 80), (0, 30))
    pieces = cut(samples, 4000, max_seconds=3.2)
    assert [p.shared for p in pieces] == [True, True] and round(pieces[1].end / 0.032) == 173
    assert pieces[0].end == pieces[1].start and 90 <= round(pieces[0].end / 0.032) <= 93
    assert pieces[0].audio.start + pieces[0].audio.seconds > pieces[1].start > pieces[1].audio.start


def test_no_piece_is_longer_than_asked_and_none_is_lost() -> None:
    samples = sound((1, 1000), (0, 40))
    pieces = cut(samples, 9000, max_seconds=3.2)
    assert max(p.end - p.start for p in pieces) <= 3.2
    assert pieces[0].start == 0 and round(pieces[-1].end / 0.032) == 1000
    assert all(a.end == b.start for a, b in itertools.pairwise(pieces))


@pytest.mark.parametrize("block", [700, 10**6])
def test_speech_that_goes_on_just_beyond_the_longest_piece_is_cut_as_ongoing(block: int) -> None:
    pieces = cut(sound((0, 10), (1, 70), (0.1, 3), (1, 35)), block, max_seconds=3.2)
    assert [p.shared for p in pieces] == [True, True]
    assert 80 <= round(pieces[0].end / 0.032) <= 83 and pieces[0].end == pieces[1].start


@pytest.mark.parametrize("samples", [torch.zeros(RATE), torch.zeros(0), torch.ones(1)])
def test_where_nobody_speaks_there_is_no_piece(samples: torch.Tensor) -> None:
    assert cut(samples, 4000) == []


def test_a_bad_silence_is_refused() -> None:
    with pytest.raises(ValueError, match="silence 6"):
        Cutter(Loud(), silence=6.0, max_seconds=20.0)


def times(pieces: list[Piece]) -> list[tuple[int, int]]:
    """Ends in frames."""
    return [(round(piece.start / 0.032), round(piece.end / 0.032)) for piece in pieces]


@pytest.mark.parametrize("block", [700, 5000, 10**6])
def test_near_pieces_are_joined_as_far_as_the_longest_allows(block: int) -> None:
    samples = sound((0, 50), (1, 20), (0, 20), (1, 10), (0, 20), (1, 40), (0, 20), (1, 5), (0, 60), (1, 5), (0, 90))
    options = {"margin": 0.064, "max_seconds": 3.0, "gap": 1.0}
    pieces = cut(samples, block, **options)
    assert times(pieces) == [(50, 100), (120, 185), (245, 250)]
    for piece in pieces:
        start = round(piece.audio.start * RATE)
        torch.testing.assert_close(piece.audio.samples, samples[start : start + len(piece.audio.samples)])
        assert not piece.shared
    assert times(cut(samples, block, margin=0.064, max_seconds=3.0)) == [
        (50, 70),
        (90, 100),
        (120, 160),
        (180, 185),
        (245, 250),
    ]


def test_a_joined_piece_is_given_once_nothing_more_can_follow() -> None:
    taken = 0

    def blocks():
        nonlocal taken
        for block in sound((1, 20), (0, 20), (1, 10), (0, 400)).split(10 * FRAME):
            taken += 10
            yield block

    piece = next(iter(Cutter(Loud(), gap=1.0)(blocks(), RATE)))
    assert times([piece]) == [(0, 50)] and taken <= 50 + 1.0 / 0.032 + 10


def test_a_cut_within_speech_keeps_what_it_is_asked_to() -> None:
    samples = sound((0, 10), (1, 80), (0.1, 3), (1, 80), (0, 30))
    first, second = cut(samples, 4000, max_seconds=3.2, overlap=0.0)
    assert first.shared and second.shared
    assert first.audio.start + first.audio.seconds == pytest.approx(first.end) == pytest.approx(second.audio.start)


def test_a_gap_shorter_than_a_silence_is_refused() -> None:
    with pytest.raises(ValueError, match="gap 0.1 must be at least silence 0.4"):
        Cutter(Loud(), gap=0.1)
