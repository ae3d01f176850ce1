"""Rows of a JSONL or CSV file, checked; the paths in them, kept inside the file's folder."""

import csv
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from mmtasks.errors import UserError

Row = tuple[str, dict[str, Any]]
"""Where the row is, as ``"train.jsonl:12"``, and its values by column."""


def read_rows(path: str | Path, *, columns: Sequence[str] = ("id",), merge: str | None = None) -> list[Row]:
    """All rows of a ``.jsonl`` or ``.csv`` file in UTF-8, in order. Empty lines do not count as rows.

    Args:
        path: the file.
        columns: what the file must have; in JSONL at least one row must, and ``id`` every row.
        merge: rows may repeat an id if they have this column and differ in nothing else.

    Raises:
        UserError: no such file, not UTF-8, not JSON or CSV, a missing column, an id that comes twice.
    """
    path = Path(path)
    text = read_text(path)
    suffix = path.suffix.lower()
    if suffix not in (".jsonl", ".csv"):
        raise UserError(f"{path}: a manifest is a .jsonl or a .csv file, not {suffix or 'a file without suffix'!r}")
    rows = list(_csv(path.name, text, columns) if suffix == ".csv" else _jsonl(path.name, text))
    if not rows:
        raise UserError(f"{path}: holds no rows; write one line for each sample")
    for column in columns:
        if not any(column in row for _, row in rows):
            raise UserError(f"{rows[0][0]}: column {column!r} is missing; the file has {', '.join(rows[0][1])}")
    if "id" in columns:
        _check_ids(rows, merge)
    return rows


def read_text(path: Path) -> str:
    """A file's text, which must be UTF-8.

    Raises:
        UserError: no such file, not readable, or not UTF-8.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path.name}:{line}: not UTF-8 text; save the file as UTF-8") from None


def resolve(folder: str | Path, relative: str, where: str) -> Path:
    """The path of a file named in a row, which must lie in the manifest's folder or below.

    Raises:
        UserError: an absolute path, or one that leaves the folder.
    """
    if PurePosixPath(relative).is_absolute() or PureWindowsPath(relative).anchor:
        raise UserError(f"{where}: {relative!r} is absolute; write it relative to the manifest's folder")
    normal = os.path.normpath(relative.replace("\\", "/"))
    if normal == ".." or normal.startswith("../"):
        raise UserError(f"{where}: {relative!r} leaves the manifest's folder; move the file into it")
    return Path(folder) / relative


def expand(path: str) -> str:
    """The path with environment variables and ``~`` filled in.

    Raises:
        UserError: a variable is not set.
    """
    full = os.path.expanduser(os.path.expandvars(path))
    unset = re.search(r"\$(\w+|\{\w+\})", full)
    if unset:
        name = unset.group(1).strip("{}")
        raise UserError(f"{path}: ${name} is not set; export {name}=FOLDER or write the path itself")
    return full


def _jsonl(name: str, text: str) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{name}:{number}"
        try:
            row = json.loads(line)
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise UserError(f"{where}: half a character (\\ud800 to \\udfff); write the text as UTF-8") from None
        except (ValueError, RecursionError):
            raise UserError(f"{where}: not JSON; write one JSON object a line") from None
        if not isinstance(row, dict):
            raise UserError(f"{where}: {type(row).__name__} instead of a JSON object; write {{...}} on each line")
        yield where, row


def _csv(name: str, text: str, columns: Sequence[str]) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        names = list(reader.fieldnames or [])
        missing = [column for column in columns if column not in names]
        if missing:
            raise UserError(
                f"{name}:1: column {missing[0]!r} is missing; the header has {', '.join(names) or 'nothing'}"
            )
        for row in reader:
            lines = sum(str(value).count("\n") for value in row.values())
            where = f"{name}:{reader.line_num - lines}"
            if None in row or None in row.values():
                raise UserError(f"{where}: not {len(names)} columns as in the header; quote values with commas")
            yield where, dict(row)
    except csv.Error as error:
        raise UserError(f"{name}:{reader.line_num}: not CSV ({error}); check the quotes") from None


def _check_ids(rows: list[Row], merge: str | None) -> None:
    seen: dict[str, Row] = {}
    for where, row in rows:
        key = row.get("id")
        if isinstance(key, bool) or not isinstance(key, (str, int)) or not str(key).strip():
            raise UserError(f"{where}: id is {key!r}; give each row a text or a number of its own")
        row["id"] = str(key)
        first, earlier = seen.setdefault(row["id"], (where, row))
        if earlier is not row and not _mergeable(earlier, row, merge):
            raise UserError(f"{where}: id {row['id']!r} is already in {first}; give each row its own id")


def _mergeable(one: dict[str, Any], other: dict[str, Any], merge: str | None) -> bool:
    if merge is None or merge not in one or merge not in other:
        return False
    return {**one, merge: None} == {**other, merge: None}
