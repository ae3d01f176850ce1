"""What scenes are made of, and which combinations of it belong to train, val and test.

The split is drawn for an unordered pair of colours together with an unordered pair of shapes. So "red square, blue
circle" and its colour-swapped partner "blue square, red circle" always share a split, whatever their sizes, counts and
places, and the combinations of test are never seen in training.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from itertools import combinations

COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "white", "black")
SHAPES = ("circle", "square", "triangle", "star", "cross", "diamond")
SIZES = ("small", "large")
COUNTS = (1, 2, 3)
SPLITS = ("train", "val", "test")

Combination = tuple[tuple[str, str], tuple[str, str]]
"""Two colours and two shapes, each pair in alphabetical order."""


def check_choice(name: str, value: object, allowed: Iterable[object]) -> None:
    """Raise ValueError naming the value and the allowed ones, unless ``value`` is among them."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value!r}")


def signature_of(colours: Iterable[str], shapes: Iterable[str]) -> str:
    """Name of a combination, the same in whichever order: ``"blue+red/circle+square"``."""
    return "+".join(sorted(colours)) + "/" + "+".join(sorted(shapes))


def split_of(signature: str) -> str:
    """The split that owns a signature, about 70 % train, 10 % val, 20 % test; the same on every machine."""
    draw = int.from_bytes(hashlib.sha256(signature.encode()).digest()[:8], "big") / 2**64
    return "train" if draw < 0.7 else "val" if draw < 0.8 else "test"


@cache
def combinations_of(split: str) -> tuple[Combination, ...]:
    """Every combination that a split owns, in a fixed order. ValueError for an unknown split."""
    check_choice("split", split, SPLITS)
    every = ((c, s) for c in combinations(sorted(COLOURS), 2) for s in combinations(sorted(SHAPES), 2))
    return tuple((c, s) for c, s in every if split_of(signature_of(c, s)) == split)
