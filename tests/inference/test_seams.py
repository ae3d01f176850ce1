"""Words at the cut between two pieces count once, whichever piece heard them."""

import pytest

from mmtasks.inference.seams import Seam, parted
from mmtasks.types import Word

SEAM = Seam(10.0, 9.4, 10.6)


def words(*said: tuple[str, float, float]) -> list[Word]:
    return [Word(*word) for word in said]


@pytest.mark.parametrize(
    ("left", "right", "expected"),
    [
        pytest.param(
            words(("go", 9.0, 9.3), ("up", 9.8, 10.22)),
            words(("up", 9.76, 10.2), ("now", 10.5, 10.9)),
            "go up now",
            id="timed behind the cut by the left, before it by the right",
        ),
        pytest.param(
            words(("go", 9.0, 9.3), ("up", 9.78, 10.2)),
            words(("up", 9.82, 10.22), ("now", 10.5, 10.9)),
            "go up now",
            id="the other way round",
        ),
        pytest.param(
            words(("go", 9.0, 9.3), ("stationar", 9.9, 10.6)),
            words(("stationary", 9.9, 10.9), ("now", 11.0, 11.3)),
            "go stationary now",
            id="cut off at the end of the left",
        ),
        pytest.param(
            words(("go", 8.5, 8.7), ("stationary", 9.2, 10.1)),
            words(("tionary", 9.4, 10.1), ("now", 10.7, 11.0)),
            "go stationary now",
            id="cut off at the start of the right",
        ),
        pytest.param(
            words(("antidisestablish", 9.1, 10.6)),
            words(("establishmentarianism", 9.4, 11.3)),
            "establishmentarianism",
            id="longer than what both read",
        ),
        pytest.param(
            words(("no", 9.5, 9.6), ("no", 9.9, 10.0), ("no", 10.3, 10.4)),
            words(("no", 9.52, 9.62), ("no", 9.92, 10.02), ("no", 10.32, 10.42), ("no", 10.7, 10.8)),
            "no no no no",
            id="said again and again",
        ),
        pytest.param(
            words(("go", 9.5, 9.8), ("pl", 10.5, 10.6)),
            words(("now", 10.1, 10.3), ("planet", 10.5, 11.0)),
            "go now planet",
            id="nothing in common",
        ),
        pytest.param(words(("go", 10.1, 10.4)), words(("now", 11.0, 11.3)), "go now", id="heard by the left alone"),
        pytest.param(words(("go", 9.0, 9.2)), words(("up", 9.6, 9.9)), "go up", id="heard by the right alone"),
    ],
)
def test_words_at_a_cut_count_once(left: list[Word], right: list[Word], expected: str) -> None:
    one, other = parted(left, right, SEAM)
    assert " ".join(word.text for word in one + other) == expected
    assert [word.start for word in one + other] == sorted(word.start for word in one + other)
