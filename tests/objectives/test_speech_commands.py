"""A transcription objective that is given a grammar."""

from pathlib import Path

import pytest
import torch
import yaml

from mmtasks.config import describe, instantiate
from mmtasks.metrics.commands import CommandErrors
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.objectives.speech import Transcription
from mmtasks.voice.grammar import Grammar
from tests.small_whisper import make_whisper

PLAIN = {"slots": {"state": ["on", "off"]}, "intents": {"light": ["[the] light {state}"], "stop": ["stop"]}}


def test_only_what_would_have_been_done_counts() -> None:
    errors = CommandErrors(Grammar.read(PLAIN))
    pairs = [
        ("light on", "the light on"),  # other words, the same command
        ("light off", "light on"),
        ("stop", "stopp"),
        ("stop", "stop"),
        ("good morning", "stop"),  # no command: counts as words only
    ]
    errors.update([Transcript(str(number), *pair) for number, pair in enumerate(pairs)])
    figures = errors.compute()
    assert figures["command_accuracy"] == 0.5
    torch.testing.assert_close(figures["wer"], torch.tensor((1 + 1 + 1 + 2) / 8))
    errors.reset()
    assert errors.compute()["command_accuracy"] == 0


def test_the_grammar_itself_is_in_the_recipe(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(PLAIN))
    recipe = describe(Transcription(commands=str(path)))
    path.unlink()
    loaded = instantiate(recipe)
    assert loaded.grammar.parse("light on") == {"intent": "light", "slots": {"state": "on"}}
    assert describe(loaded) == recipe
    assert isinstance(loaded.metrics(), CommandErrors)


def test_commands_are_looked_for_in_what_was_heard_before_the_normaliser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_whisper(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    plain = {"slots": {"minutes": {"20": "twenty"}}, "intents": {"timer": ["{minutes} minutes"]}}
    objective = Transcription(commands=plain, normaliser="whisper_english")
    errors = objective.metrics()
    errors.update([Transcript("1", "twenty minutes", "twenty minutes")])
    assert errors.transcripts[0].reference == "20 minutes"
    assert errors.compute()["command_accuracy"] == 1


def test_without_a_grammar_there_are_word_errors_alone() -> None:
    objective = Transcription()
    assert type(objective.metrics()) is WordErrors and objective.grammar is None
    assert "command_accuracy" not in objective.metrics().compute()
