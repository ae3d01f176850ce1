"""The walk of a new modality works as it is written."""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mmtasks.cli import main

WALK = Path(__file__).parents[1] / "docs" / "new-modality.md"
FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"`([\w/]+\.(?:py|yaml))`[^`]*:$")


class Block(NamedTuple):
    """file: where the paragraph before it says that it goes; empty for what is run."""

    language: str
    code: str
    file: str


def blocks(text: str) -> Iterator[Block]:
    """The code blocks of a page, in order."""
    for found in FENCED.finditer(text):
        paragraph = text[: found.start()].rstrip("\n").split("\n\n")[-1]
        named = NAMED.search(" ".join(paragraph.split()))
        yield Block(found[1], found[2], named[1] if named else "")


def run(block: Block) -> None:
    """Write the file, or run commands or Python, in the working folder."""
    if block.file:
        Path(block.file).write_text(block.code)
    elif block.language == "python":
        exec(compile(block.code, WALK.name, "exec"), {})
    else:
        assert block.language == "sh"
        for line in block.code.splitlines():
            program, *arguments = shlex.split(line)
            assert program == "mmtasks"
            assert main(arguments) == 0


def test_every_block_of_the_walk_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    found = list(blocks(WALK.read_text()))
    files = [block.file for block in found if block.file]
    assert files == ["pulse/encoder.py", "pulse/objective.py", "pulse/data.py", "pulse/pulse.yaml", "pulse/joint.yaml"]
    try:
        for block in found:
            run(block)
    finally:
        for name in [name for name in sys.modules if name.split(".")[0] == "pulse"]:
            del sys.modules[name]
