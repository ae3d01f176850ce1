"""Texts from files of every kind, by one function."""

import gzip
import json
from pathlib import Path

import pytest

from mmtasks.data.texts import read_texts
from mmtasks.errors import UserError

COUNTS = {"rare": 1, "the": 90, "often": 7}


def test_lines_rows_and_counted_words(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Go  home.\n\n  Stop\n", encoding="utf-8")
    assert read_texts(str(tmp_path / "a.txt")) == [("a.txt:1", "Go home."), ("a.txt:3", "Stop")]
    rows = [{"id": 1, "text": "up"}, {"id": 1, "text": " "}, {"id": 2}, {"text": "down"}]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert read_texts(str(tmp_path / "m.jsonl")) == [("m.jsonl:1", "up"), ("m.jsonl:4", "down")]
    (tmp_path / "m.csv").write_text("id,text\n1,left\n")
    assert read_texts(str(tmp_path / "m.csv")) == [("m.csv:2", "left")]
    (tmp_path / "w.json").write_text(json.dumps(COUNTS))
    (tmp_path / "w.json.gz").write_bytes(gzip.compress(json.dumps(COUNTS).encode()))
    for name in ("w.json", "w.json.gz"):
        assert read_texts(str(tmp_path / name), limit=2) == [(f"{name}:1", "the"), (f"{name}:2", "often")]


def test_a_file_of_a_package_is_read_without_importing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "listed" / "words").mkdir(parents=True)
    (tmp_path / "listed" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "listed" / "words" / "en.json").write_text(json.dumps(COUNTS))
    monkeypatch.syspath_prepend(tmp_path)
    assert [text for _, text in read_texts("package:listed/words/en.json")] == ["the", "often", "rare"]
    for path in ("package:listed/words/de.json", "package:unlisted/a.txt", "package:listed"):
        with pytest.raises(UserError, match=f"^{path}: no installed package .* pip install it$"):
            read_texts(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\n \n", "a.txt: holds no text"),
        ("a.txt", b"\xff\xfe", "a.txt:1: not UTF-8"),
        ("a.jsonl", b'{"text": 3}', "a.jsonl:1: the text is 3, not text"),
        ("a.jsonl", b'{"id": 3}', "column 'text' is missing"),
        ("a.json", b'["the"]', "a.json: no list of words"),
        ("a.json", b'{"the": "often"}', "a.json: no list of words"),
        ("a.json.gz", b"no archive", "a.json.gz: no list of words"),
    ],
)
def test_a_bad_file_is_named_in_a_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        read_texts(str(tmp_path / name))
    assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="no such file"):
        read_texts(str(tmp_path / f"none-{name}"))
