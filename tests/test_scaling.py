"""What the guide says of figures is what was measured, and the arithmetic behind it."""

import pytest

from benchmarks import scaling
from benchmarks.two_processes import sent


def test_the_tables_are_up_to_date() -> None:
    shown = scaling.GUIDE.read_text().split(scaling.START)[1].split(scaling.END)[0]
    assert shown == scaling.tables(), "run python -m benchmarks.scaling"


def test_bytes_by_hand() -> None:
    assert sent(10, 0, 1) == 0
    assert sent(10, 0, 2) == 40
    assert sent(10, 0, 4) == 60
    assert sent(0, 7, 4) == 21


def test_a_step_of_the_shortest_length_has_the_efficiency_asked_for() -> None:
    for gradients, tokens in ((1.0, 0.0), (1.0, 0.3), (0.1, 1.0)):
        step = scaling.shortest_step(gradients, tokens)
        total = step + tokens + max(0.0, gradients - 2 / 3 * step)
        assert step / total == pytest.approx(0.9)
