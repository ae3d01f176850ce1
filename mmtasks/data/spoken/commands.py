"""Which sentences of a grammar belong to train, val and test.

A command of two or more slots is held out by its meaning: "kitchen light off" is in one split, however it is said. Of a
simpler command every split has other sentences.
"""

import random

from mmtasks.data.scenes.splits import split_of
from mmtasks.voice.grammar import Command, Grammar

TRIES = 10_000


def signature_of(text: str, command: Command) -> str:
    """What decides the split of a sentence."""
    slots = sorted(command["slots"].items())
    if len(slots) < 2:
        return text
    return " ".join([command["intent"], *(f"{name}={value}" for name, value in slots)])


def draw_sentence(grammar: Grammar, split: str, rng: random.Random) -> tuple[str, Command]:
    """A sentence of a split, and what it commands.

    Raises:
        ValueError: the grammar has hardly any sentence in this split.
    """
    for _ in range(TRIES):
        text = grammar.draw(rng)
        command = grammar.parse(text)
        if command is not None and split_of(signature_of(text, command)) == split:
            return text, command
    raise ValueError(f"{grammar.name} has no sentences for {split!r}; give it more slots, values or phrasings")
