"""Where speech is."""

import sys

import pytest
import torch

from mmtasks.data.voice_activity import FRAME, RATE, EnergyDetector, SileroDetector, best_detector


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


@pytest.mark.parametrize("rate", [8000, RATE, 44_100])
def test_an_empty_piece_says_nothing(rate: int) -> None:
    detector = EnergyDetector()
    assert len(detector(0.1 * torch.ones(rate), rate)) == RATE // FRAME
    assert len(detector(torch.zeros(0), rate)) == 0


def test_output_is_left_alone_where_the_network_is_missing(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setitem(sys.modules, "silero_vad", None)
    assert isinstance(best_detector(), EnergyDetector)
    captured = capsys.readouterr()
    assert captured.out == "" and "mmtasks[speech]" in captured.err
