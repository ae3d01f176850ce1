"""Signals at another rate, by torchaudio's windowed sinc."""

import math
from fractions import Fraction
from functools import lru_cache

import torch
import torchaudio.transforms as AT
from torch import Tensor

LARGEST = 5_000_000
"""The most values of a filter between two rates: 20 MB."""
KEPT = 8
"""Filters that stay in memory: of short recordings, making one takes four times as long as filtering."""


def resampled(samples: Tensor, rate: int, to: int) -> Tensor:
    """(T,) at one rate -> (T',) at another, which lasts as long."""
    old, new = periods(rate, to)
    return samples if old == new else _filter(old, new)(samples)


def periods(rate: int, to: int) -> tuple[int, int]:
    """How many samples of one rate last as long as how many of another, in the smallest numbers.

    torchaudio keeps a filter of about one times the other values: where those are too many, the nearest rates
    with fewer are taken, which differ by less than 0.03 %, a second an hour.

    >>> periods(44_100, 16_000), periods(16_008, 16_000), periods(11_127, 16_000)
    ((441, 160), (2001, 2000), (564, 811))
    """
    ratio = Fraction(rate, to)
    if ratio.numerator * ratio.denominator > LARGEST:
        most = math.isqrt(int(LARGEST / max(ratio, 1 / ratio)))
        ratio = ratio.limit_denominator(most) if ratio >= 1 else 1 / (1 / ratio).limit_denominator(most)
    return ratio.numerator, ratio.denominator


@lru_cache(KEPT)
def _filter(old: int, new: int) -> AT.Resample:
    return AT.Resample(old, new, dtype=torch.float32)
