"""Where speech is, and pieces of bounded length that together hold all of it."""

import itertools

import pytest
import torch

from mmtasks.data.voice_activity import FRAME, RATE, Cutter, Detector, EnergyDetector, Piece, SileroDetector


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


@pytest.mark.parametrize("samples", [torch.zeros(RATE), torch.zeros(0), torch.ones(1)])
def test_where_nobody_speaks_there_is_no_piece(samples: torch.Tensor) -> None:
    assert cut(samples, 4000) == []


def test_a_bad_silence_is_refused() -> None:
    with pytest.raises(ValueError, match="silence 6"):
        Cutter(Loud(), silence=6.0, max_seconds=20.0)


def test_level_finds_a_burst_over_noise_and_nothing_in_noise_alone() -> None:
    torch.manual_seed(0)
    noise = 0.005 * torch.randn(100 * FRAME)
    assert EnergyDetector()(noise, RATE).sum() == 0
    noise[40 * FRAME : 60 * FRAME] += 0.2 * torch.randn(20 * FRAME)
    assert EnergyDetector()(noise, RATE).nonzero().flatten().tolist() == list(range(40, 60))


def test_silero_side_by_side_is_close_to_one_after_the_other() -> None:
    pytest.importorskip("silero_vad")
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    seconds = torch.arange(RATE * 6) / RATE
    voiced = sum(torch.sin(2 * torch.pi * 140 * k * seconds) / k for k in range(1, 20))
    samples = 0.1 * voiced * (torch.sin(2 * torch.pi * 2 * seconds) > 0) + 0.001 * torch.randn(len(seconds))
    whole, detector = SileroDetector()(samples, RATE), SileroDetector()
    parts = torch.cat([detector(block, RATE) for block in samples.split(5000)])
    assert len(whole) == len(parts) == len(samples) // FRAME
    assert (whole - parts).abs().mean() < 0.05
    assert torch.get_num_threads() == threads
