"""How often the right thing would have been done."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.voice.grammar import Grammar


class CommandErrors(WordErrors):
    """Word errors, and the share of commands that are understood: the same intent and slots as of what was said.

    Utterances that are no command of the grammar do not count towards it. The normaliser is for words alone: commands
    are looked for in transcripts as they are.

    Args:
        grammar: of the commands.
        normaliser: see ``WordErrors``.

    >>> errors = CommandErrors(Grammar.read("home"))
    >>> errors.update([Transcript("1", "turn the hall light off", "turn the hall lights off")])
    >>> {name: float(value) for name, value in errors.compute().items() if name in ("accuracy", "command_accuracy")}
    {'accuracy': 0.0, 'command_accuracy': 1.0}
    """

    commands: Tensor
    understood: Tensor

    def __init__(self, grammar: Grammar, *, normaliser: str | None = None) -> None:
        super().__init__(normaliser=normaliser)
        self.grammar = grammar
        for name in ("commands", "understood"):
            self.add_state(name, default=torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, transcripts: Sequence[Transcript]) -> None:
        """Count more utterances."""
        super().update(transcripts)
        for _, reference, hypothesis in transcripts:
            command = self.grammar.parse(reference)
            if command is not None:
                self._add("commands", 1)
                self._add("understood", int(self.grammar.parse(hypothesis) == command))

    def compute(self) -> dict[str, Tensor]:
        """The figures of ``WordErrors`` and ``command_accuracy``, 0–1."""
        return {**super().compute(), "command_accuracy": self.understood / self.commands.clamp(min=1)}
