"""One way to say a command: words, ``{slots}``, ``[words that may be left out]``, ``(one|or the other)``."""

import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

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
        self._values = {name: _spoken_values(wordings) for name, wordings in slots.items()}
        self._expression = re.compile(_expression(self._nodes, self._values))
        if self._expression.fullmatch(""):
            raise ValueError("every word may be left out; put one outside the brackets")

    def parse(self, text: str) -> dict[str, str] | None:
        """The values of the slots, or None where the text is not said this way.

        Case, spacing and punctuation do not matter, and a value may be written instead of a wording: 20 for twenty.
        """
        found = self._expression.fullmatch("".join(f"{word} " for word in _plain(text).split()))
        if found is None:
            return None
        said = {name: words.strip() for name, words in found.groupdict().items() if words is not None}
        return {name: self._values[name][words] for name, words in said.items()}

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


def _spoken_values(wordings: Wordings) -> dict[str, str]:
    """The value of everything that may be heard for it; what one value is called goes before what another is."""
    heard = {value: value for value in wordings.values()} | dict(wordings)
    return {_plain(words): value for words, value in heard.items() if _plain(words)}


def _plain(text: str) -> str:
    """Words in small letters, single spaces between; marks part words, but for apostrophes and full stops in them."""
    return " ".join(re.sub(r"(?!(?<=\w)['’.](?=\w))[^\w\s]|_", " ", text.lower()).split())


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


def _expression(nodes: Nodes, slots: Mapping[str, Wordings]) -> str:
    """A regular expression for texts in which a space follows every word."""
    return "".join(_node_expression(node, slots) for node in nodes)


def _node_expression(node: str | Slot | Choice, slots: Mapping[str, Wordings]) -> str:
    if isinstance(node, Slot):
        return f"(?P<{node.name}>{'|'.join(re.escape(words + ' ') for words in slots[node.name])})"
    if isinstance(node, Choice):
        return f"(?:{'|'.join(_expression(option, slots) for option in node.options)})"
    return "".join(re.escape(word + " ") for word in _plain(node).split())
