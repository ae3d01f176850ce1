"""One way to say a command: words, ``{slots}``, ``[words that may be left out]``, ``(one|or the other)``."""

import random
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

NOTHING = "(?!)"
"""A regular expression that nothing matches."""
SYMBOLS = re.compile(r"\{[^{}]*\}|[][()|]|[^][(){}|\s]+|[{}]")

Wordings = Mapping[str, str]
"""Wording -> the value it stands for."""


@dataclass(frozen=True)
class Slot:
    """A place for one wording of a slot."""

    name: str


@dataclass(frozen=True)
class Choice:
    """One of several sequences."""

    options: tuple["Nodes", ...]


Nodes = tuple[str | Slot | Choice, ...]


class Phrasing:
    """A pattern that sentences are drawn from and recognised by.

    Args:
        pattern: as in ``[please] turn the {room} (light|lamp) {state}``; case does not matter.
        slots: wordings of each slot that may be named, and what they stand for.

    Raises:
        ValueError: brackets that do not match, an unknown slot, one that comes twice, or nothing that must be said.

    >>> phrasing = Phrasing("[please] light {state}", {"state": {"on": "on", "off": "off"}})
    >>> phrasing.parse("Please, light  OFF.")
    {'state': 'off'}
    """

    def __init__(self, pattern: str, slots: Mapping[str, Wordings]) -> None:
        self.pattern = pattern
        self.slots = slots
        symbols = iter([*SYMBOLS.findall(pattern.lower()), ""])
        self._nodes = _sequence(symbols, "", slots).options[0]
        named = re.findall(r"\{(.*?)\}", pattern.lower())
        for name in named:
            if named.count(name) > 1:
                raise ValueError(f"slot {name!r} comes twice; write two phrasings")
        loose = {name: _loosely(wordings) for name, wordings in slots.items()}
        self._ways = [
            _Way(str.lower, slots, re.compile(_expression(self._nodes, slots, str))),
            _Way(_plain, loose, re.compile(_expression(self._nodes, loose, _plain))),
        ]
        if any(way.expression.fullmatch("") for way in self._ways):
            raise ValueError("every word may be left out; put one outside the brackets")

    def parse(self, text: str) -> dict[str, str] | None:
        """The values of the slots, or None where the text is not said this way.

        Case, spacing and, where it leaves no doubt, punctuation do not matter; a value may be written instead of one of
        its wordings, 20 for twenty.
        """
        for change, slots, expression in self._ways:
            found = expression.fullmatch("".join(f"{word} " for word in change(text).split()))
            if found is not None:
                said = {name: words.strip() for name, words in found.groupdict().items() if words is not None}
                return {name: slots[name][words] for name, words in said.items()}
        return None

    def draw(self, rng: random.Random) -> str:
        """One sentence; each choice is made evenly."""
        return " ".join(self._draw(self._nodes, rng))

    def _draw(self, nodes: Nodes, rng: random.Random) -> Iterator[str]:
        for node in nodes:
            if isinstance(node, Slot):
                values = sorted(set(self.slots[node.name].values()))
                value = rng.choice(values)
                yield rng.choice([words for words, stands_for in self.slots[node.name].items() if stands_for == value])
            elif isinstance(node, Choice):
                yield from self._draw(rng.choice(node.options), rng)
            else:
                yield node


class _Way(NamedTuple):
    """A way to compare texts with a phrasing. change: what is done to a text; slots: their wordings, changed alike."""

    change: Callable[[str], str]
    slots: Mapping[str, Wordings]
    expression: re.Pattern[str]


def _loosely(wordings: Wordings) -> dict[str, str]:
    """The value of each wording without its marks, and of each value, where that leaves no doubt."""
    found: dict[str, set[str]] = defaultdict(set)
    for words, value in wordings.items():
        found[_plain(words)].add(value)
    for value in wordings.values():
        if _plain(value) not in found:
            found[_plain(value)].add(value)
    return {words: values.pop() for words, values in found.items() if words and len(values) == 1}


@lru_cache(maxsize=1024)  # a grammar asks each of its phrasings about the same text
def _plain(text: str) -> str:
    """Words in small letters; punctuation parts them, but for signs of numbers, and apostrophes and points within."""
    text = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    kept = {match.start() for match in re.finditer(r"(?<=\w)['.](?=\w)|(?<!\S)-(?=\d)", text)}
    marks = (unicodedata.category(c).startswith("P") and i not in kept for i, c in enumerate(text))
    return " ".join("".join(" " if mark else c for mark, c in zip(marks, text, strict=True)).split())


def _sequence(symbols: Iterator[str], end: str, slots: Mapping[str, Wordings]) -> Choice:
    """Read up to the symbol ``end``; ``|`` parts the options."""
    options: list[Nodes] = []
    nodes: list[str | Slot | Choice] = []
    for symbol in symbols:
        if symbol == end or (symbol == "|" and end):
            options.append(tuple(nodes))
            nodes = []
            if symbol == end:
                return Choice(tuple(options))
        elif symbol == "[":
            nodes.append(Choice((*_sequence(symbols, "]", slots).options, ())))
        elif symbol == "(":
            nodes.append(_sequence(symbols, ")", slots))
        elif symbol in {"]", ")", "|", "{", "}", ""}:
            told = f"before {symbol!r}" if symbol else "at the end"
            raise ValueError(f"{end!r} is missing {told}" if end else f"{symbol!r} stands alone")
        elif symbol.startswith("{"):
            nodes.append(_slot(symbol[1:-1].strip(), slots))
        else:
            nodes.append(symbol)
    raise AssertionError("the symbols end with ''")


def _slot(name: str, slots: Mapping[str, Wordings]) -> Slot:
    if name not in slots:
        raise ValueError(f"no slot {name!r}; there are {', '.join(slots) or 'none'}")
    return Slot(name)


def _expression(nodes: Nodes, slots: Mapping[str, Wordings], change: Callable[[str], str]) -> str:
    """A regular expression for texts in which a space follows every word."""
    return "".join(_node_expression(node, slots, change) for node in nodes)


def _node_expression(node: str | Slot | Choice, slots: Mapping[str, Wordings], change: Callable[[str], str]) -> str:
    if isinstance(node, Slot):
        wordings = "|".join(re.escape(f"{words} ") for words in slots[node.name])
        return f"(?P<{node.name}>{wordings or NOTHING})"
    if isinstance(node, Choice):
        return f"(?:{'|'.join(_expression(option, slots, change) for option in node.options)})"
    return "".join(re.escape(f"{word} ") for word in change(node).split())
