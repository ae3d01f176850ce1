"""The grammar: its own sentences are understood, all others are not, faults are named."""

import random
from typing import Any

import pytest
import yaml

from mmtasks.config import describe, instantiate
from mmtasks.errors import UserError
from mmtasks.voice.grammar import Grammar

SMALL = """
slots:
  room: [kitchen, Living Room]
  state: {on: on, off: [off, out]}
intents:
  light:
    - "[please] turn the {room} (light|reading lamp) {state}"
    - "lights [all] {state}"
  stop: [stop]
"""


@pytest.fixture
def grammar(tmp_path) -> Grammar:
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return Grammar.read(str(path))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("turn the kitchen light off", {"intent": "light", "slots": {"room": "kitchen", "state": "off"}}),
        (
            " Please turn  the living room reading lamp OUT ",
            {"intent": "light", "slots": {"room": "Living Room", "state": "off"}},
        ),
        ("lights on", {"intent": "light", "slots": {"state": "on"}}),
        ("stop", {"intent": "stop", "slots": {}}),
        ("Turn the kitchen light off.", {"intent": "light", "slots": {"room": "kitchen", "state": "off"}}),
        ("Stop!", {"intent": "stop", "slots": {}}),
        ("", None),
        ("turn the kitchen light", None),
        ("turn the living light off", None),
        ("turn the kitchenlight off", None),
        ("lights off off", None),
        ("please stop", None),
    ],
)
def test_a_text_is_a_command_of_the_grammar_or_none(grammar, text, command):
    assert grammar.parse(text) == command


def test_a_value_may_be_written_instead_of_its_wording():
    home = Grammar.read("home")
    degrees = {"intent": "heating", "slots": {"room": "office", "degrees": "21"}}
    for said in ("twenty one", "twenty-one", "21"):
        assert home.parse(f"Set the temperature in the office to {said}.") == degrees


@pytest.mark.parametrize(
    ("values", "said", "value"),
    [
        (["5", "-5"], "5", "5"),
        (["5", "-5"], "-5", "-5"),
        ({"5": "five", "-5": "minus five"}, "5", "5"),
        (["c", "c++", "c#"], "c", "c"),
        (["c", "c++", "c#"], "c#", "c#"),
        (["c", "c++", "c#"], "c#!", None),
        (["don't", "do"], "don’t!", "don't"),
        (["दो", "दे"], "दो.", "दो"),
        ({"one": "two", "two": "one"}, "One.", "two"),
        (["+", "-"], "", None),
        (["2.5", "25"], "2.5.", "2.5"),
    ],
)
def test_punctuation_matters_only_where_it_tells_apart(values, said, value):
    grammar = Grammar({"slots": {"what": values}, "intents": {"do": ["say {what}"]}})
    assert grammar.parse(f"Say {said}") == (value and {"intent": "do", "slots": {"what": value}})


def test_every_sentence_that_it_makes_is_understood_and_every_one_comes(grammar):
    rng = random.Random(0)
    drawn = {grammar.draw(rng) for _ in range(1500)}
    assert len(drawn) == 2 * 2 * 2 * 3 + 2 * 3 + 1
    assert all(grammar.parse(text) for text in drawn)


def test_the_same_draws_give_the_same_sentences(grammar):
    assert [grammar.draw(random.Random(k)) for k in range(9)] == [grammar.draw(random.Random(k)) for k in range(9)]


def test_sentences_of_the_home_grammar_mean_one_thing():
    home = Grammar.read("home")
    rng = random.Random(0)
    for _ in range(2000):
        text = home.draw(rng)
        meanings = [
            (intent, slots)
            for intent, phrasings in home.phrasings.items()
            for phrasing in phrasings
            if (slots := phrasing.parse(text)) is not None
        ]
        assert meanings and all(meaning == meanings[0] for meaning in meanings), text


def test_its_plain_form_makes_the_same_grammar(grammar):
    again = Grammar.read(instantiate(describe(grammar.plain)))
    assert again.plain == grammar.plain
    assert again.parse("lights out") == grammar.parse("lights out") is not None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"intents": {"a": ["go", "x {rom}"]}}, "intents.a, phrasing 2: 'x {rom}': no slot 'rom'; there are room"),
        ({"intents": {"a": ["[x] [y]"]}}, "every word may be left out"),
        ({"intents": {"a": ["(x"]}}, r"'\)' is missing at the end"),
        ({"intents": {"a": ["(x]"]}}, r"'\)' is missing before ']'"),
        ({"intents": {"a": ["x)"]}}, r"'\)' stands alone"),
        ({"intents": {"a": ["x | y"]}}, "'|' stands alone"),
        ({"intents": {"a": ["x {room"]}}, "'{' stands alone"),
        ({"intents": {"a": ["{room} or {room}"]}}, "slot 'room' comes twice"),
        ({"intents": {"a": "x"}}, "intents.a: give a list of phrasings"),
        ({"intents": {"a": [["x"]]}}, "intents.a, phrasing 1: .* is not text"),
        ({"intents": ["a"]}, "intents: give a mapping"),
        ({"intents": {}}, "give a mapping with 'intents'"),
        ({"words": {}}, "give a mapping with 'intents'"),
        ({"slots": {"room": []}}, "slots.room: give a list"),
        ({"slots": {"room": {"a": "x", "b": ["y", "X"]}}}, "slots.room.b: 'x' stands for 'a' already"),
        ({"slots": {"room": [""]}}, "slots.room.: '' is no wording"),
        ({"slots": {"my room": ["x"]}}, "slots.my room: a slot's name"),
    ],
)
def test_a_fault_is_one_line_that_names_file_and_entry(tmp_path, changes: dict[str, Any], message):
    plain = {"slots": {"room": ["hall"]}, "intents": {"go": ["to the {room}"]}, **changes}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(plain))
    with pytest.raises(UserError, match=f"^mine.yaml: .*{message}") as error:
        Grammar.read(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"a: [", b"\xff\xfe\x00"])
def test_what_is_no_yaml_is_named(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(UserError, match="x.yaml: not YAML"):
        Grammar.read(str(tmp_path / "x.yaml"))


def test_a_missing_file_is_named():
    with pytest.raises(UserError, match="nowhere.yaml: no such grammar"):
        Grammar.read("nowhere.yaml")
