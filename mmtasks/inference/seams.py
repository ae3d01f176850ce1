"""Two pieces of one recording that both heard what is said at the cut between them: whose words count.

Each piece reads on beyond the cut, and times its words by itself: the middle of a word at the cut may lie behind it for
the one and before it for the other, and the word be lost, or the other way round and be heard twice.
"""

from typing import NamedTuple

from mmtasks.types import Word

TOLERANCE = 0.2
"""Seconds by which two pieces may time the same word differently."""
EDGE = 0.1
"""Seconds from the end of a piece's sound within which a word is probably cut off."""


class Seam(NamedTuple):
    """Where two pieces meet, in seconds into the recording.

    cut: the end of the left piece and the start of the right one; begin, end: of the sound that both read.
    """

    cut: float
    begin: float
    end: float


class Candidate(NamedTuple):
    """A word of one piece; own: its middle is on that piece's side of the cut; whole: away from the sound's end."""

    word: Word
    left: bool
    own: bool
    whole: bool


def parted(left: list[Word], right: list[Word], seam: Seam) -> tuple[list[Word], list[Word]]:
    """Words of two pieces, each in order -> those that count of each; at the seam no word twice, and none lost.

    >>> one, other = [Word("go", 1.0, 1.3), Word("up", 1.9, 2.2)], [Word("up", 1.8, 2.1), Word("now", 2.5, 2.8)]
    >>> [[word.text for word in words] for words in parted(one, other, Seam(2.0, 1.4, 2.6))]
    [['go', 'up'], ['now']]
    """
    pair = _same(left, right, seam)
    if pair is not None:
        return left[: pair[0] + 1], right[pair[1] + 1 :]
    return _by_sides(left, right, seam)


def _same(left: list[Word], right: list[Word], seam: Seam) -> tuple[int, int] | None:
    """Positions of the word that both heard and that is nearest to the cut."""
    lasts = [i for i in range(len(left)) if left[i].end > seam.begin]
    firsts = [j for j in range(len(right)) if right[j].start < seam.end]
    pairs = [
        (i, j)
        for i in lasts
        for j in firsts
        if left[i].text == right[j].text and abs(_middle(left[i]) - _middle(right[j])) <= TOLERANCE
    ]

    def distance(pair: tuple[int, int]) -> float:
        return abs(_middle(left[pair[0]]) - seam.cut) + abs(_middle(right[pair[1]]) - seam.cut)

    return min(pairs, key=distance, default=None)


def _by_sides(left: list[Word], right: list[Word], seam: Seam) -> tuple[list[Word], list[Word]]:
    """Words on their piece's side, and those at the cut in whose place nothing else was heard; whole ones first."""
    near = [word for word in left if word.start < seam.cut + TOLERANCE]
    candidates = [Candidate(w, True, _middle(w) < seam.cut, w.end < seam.end - EDGE) for w in near]
    near = [word for word in right if word.end > seam.cut - TOLERANCE]
    candidates += [Candidate(w, False, _middle(w) >= seam.cut, w.start > seam.begin + EDGE) for w in near]
    kept: list[Candidate] = []
    for one in sorted(candidates, key=lambda c: (not c.whole, not c.own, c.word.start - c.word.end)):
        if not any(one.left != other.left and _overlap(one.word, other.word) for other in kept):
            kept.append(one)
    words = sorted((one.word for one in kept), key=lambda word: word.start)
    return [w for w in words if w.start < seam.cut], [w for w in words if w.start >= seam.cut]


def _overlap(one: Word, other: Word) -> bool:
    """Whether two words stand for the same sound: they share half of the shorter one."""
    shared = min(one.end, other.end) - max(one.start, other.start)
    return shared > 0.5 * min(one.end - one.start, other.end - other.start)


def _middle(word: Word) -> float:
    return (word.start + word.end) / 2
