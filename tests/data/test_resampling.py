"""Signals at another rate: as torchaudio makes them, in filters that fit the memory and are made once."""

import math

import torch
import torchaudio.functional as AF

from mmtasks.data import resampling
from mmtasks.data.resampling import periods, resampled


def tone(rate: int) -> torch.Tensor:
    """Two seconds of 440 Hz."""
    return 0.25 * torch.sin(2 * math.pi * 440 * torch.arange(2 * rate) / rate)


def test_it_is_what_torchaudio_makes() -> None:
    for rate, to in ((22_050, 16_000), (44_100, 16_000), (8_000, 16_000), (110, 100)):
        samples = torch.randn(3_001, generator=torch.Generator().manual_seed(rate))
        assert torch.equal(resampled(samples, rate, to), AF.resample(samples, rate, to))
        assert torch.equal(resampled(samples, rate, to), AF.resample(samples, rate, to))


def test_the_same_rate_leaves_the_samples_as_they_are() -> None:
    samples = tone(8_000)
    assert resampled(samples, 8_000, 8_000) is samples


def test_a_filter_is_made_once_for_two_rates() -> None:
    resampling._filter.cache_clear()
    for rate in (44_100, 22_050, 44_100, 22_050):
        resampled(tone(rate), rate, 16_000)
    assert resampling._filter.cache_info().misses == 2


def test_rates_without_a_common_measure_need_no_giant_filter() -> None:
    for rate in (11_127, 44_101, 7_993, 191_999):
        old, new = periods(rate, 16_000)
        assert old * new <= 5e6 and abs(old / new * 16_000 / rate - 1) < 1e-5
        found = resampled(tone(rate), rate, 16_000)
        inside = slice(1000, 31_000)
        assert (found[inside] - tone(16_000)[inside]).abs().max() < 0.02  # of 0.25
    assert periods(16_008, 16_000) == (2001, 2000)
    for rate in range(15_000, 17_000, 7):
        old, new = periods(rate, 16_000)
        assert old * new <= 5e6 and abs(old / new * 16_000 / rate - 1) < 3e-4
    assert periods(48_000, 16_000) == (3, 1) and periods(22_050, 16_000) == (441, 320)
