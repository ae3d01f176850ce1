"""Texts without anything else: the lines of a text file, those of a manifest, the words of a list."""

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from mmtasks.data.manifest import expand, read_rows, read_text
from mmtasks.data.packaged import PACKAGE, packaged_file
from mmtasks.errors import UserError


def read_texts(path: str, *, limit: int | None = None) -> list[tuple[str, str]]:
    """Where each text is, as ``"train.jsonl:12"``, and the text; empty ones are passed over.

    Args:
        path: UTF-8 text, a sentence a line; a manifest (``.jsonl``, ``.csv``) with the column ``text``; or words with
            their counts (``.json``, ``.json.gz``), the most frequent first. Environment variables are filled in;
            ``package:NAME/FILE`` is a file inside an installed package.
        limit: take at most this many.

    Raises:
        UserError: the file cannot be read, holds no text, or something else in the place of a text.
    """
    file = locate(path)
    if file.suffix.lower() in (".jsonl", ".csv"):
        found: list[tuple[str, Any]] = [
            (where, row.get("text", "")) for where, row in read_rows(file, columns=["text"])
        ]
    elif file.suffix.lower() in (".json", ".gz"):
        found = list(_counted(file))
    else:
        found = [(f"{file.name}:{i}", line) for i, line in enumerate(read_text(file).splitlines(), start=1)]
    for where, text in found:
        if not isinstance(text, str):
            raise UserError(f"{where}: the text is {text!r}, not text; put it in quotes")
    kept = [(where, " ".join(text.split())) for where, text in found if text.strip()]
    if not kept:
        raise UserError(f"{path}: holds no text; write a sentence a line")
    return kept[:limit]


def locate(path: str) -> Path:
    """The file of a path in which environment variables are filled in, or of ``package:NAME/FILE``."""
    if not path.startswith(PACKAGE):
        return Path(expand(path))
    package, _, name = path.removeprefix(PACKAGE).partition("/")
    file = packaged_file(package, name) if package and name else None
    if file is None:
        raise UserError(f"{path}: no installed package {package!r} has {name!r}; pip install it")
    return file


def _counted(file: Path) -> list[tuple[str, str]]:
    """The words of a list, the most frequent first."""
    if not file.is_file():
        raise UserError(f"{file}: no such file; check the path")
    try:
        data = file.read_bytes()
        counts = json.loads(gzip.decompress(data) if file.suffix.lower() == ".gz" else data)
        ranked = sorted(counts, key=lambda word: -counts[word])
    except (OSError, EOFError, zlib.error, ValueError, TypeError):
        raise UserError(f'{file}: no list of words; write {{"word": COUNT, …}} as JSON') from None
    return [(f"{file.name}:{rank}", word) for rank, word in enumerate(ranked, start=1)]
