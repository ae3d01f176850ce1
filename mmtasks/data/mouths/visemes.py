"""What each sound looks like: the fourteen visemes of MPEG-4 (ISO/IEC 14496-2; Tekalp and Ostermann 2000) and rest.

Sounds that the standard does not list look like the nearest one that it does.
"""

from typing import NamedTuple

from mmtasks.data.spoken.synthesis import Phoneme


class Shape(NamedTuple):
    """How a mouth looks.

    opening: between the lips, 0 to 1; width: 0 pursed, 0.5 at rest, 1 spread; teeth, tongue: how much of them is seen,
    0 to 1; firm: how little the sounds beside it change it: lips must meet for a /p/, a /k/ can do without.
    """

    opening: float
    width: float
    teeth: float
    tongue: float
    firm: float


REST = Shape(0.05, 0.5, 0.0, 0.0, 0.5)
VISEMES = {
    "p b m": Shape(0.0, 0.45, 0.0, 0.0, 3.0),
    "f v": Shape(0.2, 0.55, 1.0, 0.0, 2.5),
    "θ ð": Shape(0.35, 0.55, 0.4, 1.0, 1.5),
    "t d ɾ ʔ": Shape(0.25, 0.6, 0.7, 0.3, 0.8),
    "k g ɡ x ŋ h": Shape(0.3, 0.5, 0.2, 0.0, 0.5),
    "tʃ dʒ ʃ ʒ": Shape(0.35, 0.2, 0.9, 0.0, 1.5),
    "s z": Shape(0.25, 0.8, 1.0, 0.0, 1.2),
    "n l ɫ": Shape(0.4, 0.55, 0.4, 0.7, 0.8),
    "r ɹ": Shape(0.25, 0.25, 0.3, 0.0, 1.0),
    "ɑ a ɐ ʌ": Shape(1.0, 0.55, 0.3, 0.2, 1.0),
    "e ɛ æ ə ɜ ɚ": Shape(0.55, 0.7, 0.5, 0.1, 0.9),
    "ɪ i ᵻ j": Shape(0.35, 1.0, 0.6, 0.0, 1.0),
    "ɒ ɔ o": Shape(0.75, 0.2, 0.0, 0.0, 1.0),
    "ʊ u ʉ w ʍ": Shape(0.25, 0.0, 0.0, 0.0, 1.5),
}
SHAPES = {sound: shape for sounds, shape in VISEMES.items() for sound in sounds.split()}


class Seen(NamedTuple):
    """A shape that the mouth has from ``start`` to ``end``, in seconds."""

    shape: Shape
    start: float
    end: float


def shapes_of(ipa: str) -> list[Shape]:
    """The shapes of one sound, in order: two of a diphthong, rest for a pause. Stress and length do not show.

    >>> [shape.opening for shape in shapes_of("ˈaɪ")]
    [1.0, 0.35]
    """
    found, position = [], 0
    while position < len(ipa):
        size = 2 if ipa[position : position + 2] in SHAPES else 1
        if (sound := ipa[position : position + size]) in SHAPES:
            found.append(SHAPES[sound])
        position += size
    return found or [REST]


def seen(phonemes: list[Phoneme]) -> list[Seen]:
    """What is seen of the sounds of a recording; the shapes of one share its time."""
    shown = []
    for ipa, start, end in phonemes:
        shapes = shapes_of(ipa)
        length = (end - start) / len(shapes)
        shown += [Seen(shape, start + k * length, start + (k + 1) * length) for k, shape in enumerate(shapes)]
    return shown
