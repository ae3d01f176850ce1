"""A grammar of commands, as a file that a person can write: what can be meant, and how it is said.

``slots`` names what may differ and its values, as a list, or as a mapping from values to their wordings; ``intents``
lists phrasings of each intent. ``home.yaml`` beside this file shows all of it.
"""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

import yaml

from mmtasks.errors import UserError
from mmtasks.voice.phrasing import Phrasing, Wordings

HOME = "home"
"""Name of the grammar that ships: a voice-controlled home."""


class Command(TypedDict):
    """What is to be done. slots: the value of each slot that was said."""

    intent: str
    slots: dict[str, str]


class Grammar:
    """Sentences to commands, and commands to sentences.

    Args:
        plain: ``slots`` and ``intents`` as the file has them.
        name: of the file, for messages.

    Raises:
        UserError: an entry is malformed; the message names it.

    >>> Grammar.read("home").parse("turn the kitchen light off")
    {'intent': 'light', 'slots': {'room': 'kitchen', 'state': 'off'}}
    """

    def __init__(self, plain: Mapping[str, Any], *, name: str = "grammar") -> None:
        self.plain = plain
        self.name = name
        if not isinstance(plain, Mapping) or set(plain) - {"slots", "intents"} or not plain.get("intents"):
            raise UserError(f"{name}: give a mapping with 'intents' and, if they need any, 'slots'")
        slots, intents = self._section("slots"), self._section("intents")
        self.slots = {slot: self._wordings(slot, values) for slot, values in slots.items()}
        self.phrasings = {intent: self._phrasings(intent, patterns) for intent, patterns in intents.items()}

    @classmethod
    def read(cls, source: str | Mapping[str, Any]) -> "Grammar":
        """From a YAML file, by the name of the one that ships, or from what a file holds.

        Raises:
            UserError: no such file, or malformed.
        """
        if isinstance(source, Mapping):
            return cls(source)
        path = Path(__file__).with_name("home.yaml") if source == HOME else Path(source)
        try:
            # all scalars stay text: to YAML, "on" and "off" are truth values
            return cls(yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader), name=path.name)
        except OSError:
            raise UserError(f"{source}: no such grammar; give a YAML file, or {HOME!r}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{source}: not YAML ({' '.join(str(error).split())})") from None

    def parse(self, text: str) -> Command | None:
        """What a sentence commands, by the first phrasing that fits; None for anything else."""
        for intent, phrasings in self.phrasings.items():
            for phrasing in phrasings:
                slots = phrasing.parse(text)
                if slots is not None:
                    return {"intent": intent, "slots": slots}
        return None

    def draw(self, rng: random.Random) -> str:
        """One sentence: an intent, then a phrasing of it, then all that is left open, each drawn evenly."""
        return rng.choice(self.phrasings[rng.choice(list(self.phrasings))]).draw(rng)

    def _section(self, section: str) -> Mapping[str, Any]:
        found = self.plain.get(section) or {}
        if not isinstance(found, Mapping):
            raise UserError(f"{self.name}: {section}: give a mapping from names to lists")
        return found

    def _wordings(self, slot: str, values: Any) -> Wordings:
        where = f"{self.name}: slots.{slot}"
        if not slot.isidentifier() or slot != slot.lower():
            raise UserError(f"{where}: a slot's name is small letters, digits and _")
        if isinstance(values, list):
            values = {str(value): value for value in values}
        if not isinstance(values, Mapping) or not values:
            raise UserError(f"{where}: give a list of values, or a mapping from values to wordings")
        found: dict[str, str] = {}
        for value, wordings in values.items():
            for wording in wordings if isinstance(wordings, list) else [wordings]:
                words = " ".join(wording.lower().split()) if isinstance(wording, str) else ""
                if not words:
                    raise UserError(f"{where}.{value}: {wording!r} is no wording; write words")
                if words in found:
                    raise UserError(f"{where}.{value}: {words!r} stands for {found[words]!r} already")
                found[words] = value
        return found

    def _phrasings(self, intent: str, patterns: Any) -> list[Phrasing]:
        if not isinstance(patterns, list) or not patterns:
            raise UserError(f"{self.name}: intents.{intent}: give a list of phrasings")
        found = []
        for number, pattern in enumerate(patterns, start=1):
            where = f"{self.name}: intents.{intent}, phrasing {number}"
            if not isinstance(pattern, str):
                raise UserError(f"{where}: {pattern!r} is not text; put it in quotes")
            try:
                found.append(Phrasing(pattern, self.slots))
            except ValueError as error:
                raise UserError(f"{where}: {pattern!r}: {error}") from None
        return found
