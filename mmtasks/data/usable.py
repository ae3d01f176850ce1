"""Which rows of a source can be used: those with words left and a picture that opens."""

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from PIL import Image

from mmtasks.data.clean import clean_captions
from mmtasks.data.images import orientation
from mmtasks.data.processes import cores
from mmtasks.data.rows import ImageTextRow, ImageTextSource
from mmtasks.errors import UserError

LISTED = 5
Row = TypeVar("Row")
Source = TypeVar("Source")


def usable_rows(
    source: ImageTextSource, clean: Sequence[str], *, max_bad_fraction: float, keys: bool = False
) -> list[ImageTextRow]:
    """Rows with cleaned captions, those left out that are broken; every picture on disk is opened once.

    Args:
        source: the rows.
        clean: cleaning steps of the captions.
        max_bad_fraction: the share of broken rows, 0–1, up to which they are left out.
        keys: also fill in each row's ``key`` by the picture's content.

    Raises:
        UserError: more broken rows than that, or no usable one; it lists them.
    """
    with ThreadPoolExecutor(cores()) as pool:  # decoding pictures releases the interpreter lock
        checked = list(pool.map(lambda row: _check(row, clean, source.on_disk, keys), source))
    return leave_out(checked, source.problems, max_bad_fraction)


def once_each(sources: Mapping[str, Source], check: Callable[[Source], Row]) -> dict[str, Row]:
    """What ``check`` makes of each source, by name; a source of several names is checked once."""
    distinct = {id(source): source for source in sources.values()}
    checked = {key: check(source) for key, source in distinct.items()}
    return {name: checked[id(source)] for name, source in sources.items()}


def leave_out(checked: Sequence[Row | str], problems: Sequence[str], max_bad_fraction: float) -> list[Row]:
    """The rows among those checked, where a text tells why one is unusable; says how many are left out.

    Args:
        checked: rows and complaints.
        problems: complaints of rows that were not even checked.
        max_bad_fraction: the share of complaints, 0–1, up to which the rest is used.

    Raises:
        UserError: more complaints than that, or no row; it lists them.
    """
    usable = [row for row in checked if not isinstance(row, str)]
    problems = [*problems, *(problem for problem in checked if isinstance(problem, str))]
    check_share(problems, len(usable), max_bad_fraction)
    return usable


def check_share(problems: Sequence[str], usable: int, max_bad_fraction: float) -> None:
    """Say how many rows are left out beside so many that can be used.

    Raises:
        UserError: a larger share than ``max_bad_fraction``, 0–1, or no row can be used; it lists them.
    """
    if not usable or len(problems) > max_bad_fraction * (usable + len(problems)):
        raise UserError(_complaint(problems, max_bad_fraction, usable + len(problems)))
    if problems:
        print(f"left out {len(problems)} broken rows: {listed(problems)}")


def _check(row: ImageTextRow, clean: Sequence[str], on_disk: bool, keys: bool) -> ImageTextRow | str:
    captions = clean_captions(row.captions, clean)
    if not captions:
        return f"{row.where}: no caption is left after cleaning"
    if not (on_disk or keys):
        return replace(row, captions=captions)
    try:
        image = row.load()
    except UserError as error:
        return str(error)
    return replace(row, captions=captions, key=_content(image))


def _content(image: Image.Image) -> str:
    """A key of all that a picture shows by: its pixels, and what says which colours they are and which way is up."""
    colours = {"palette": image.getpalette(None), "transparency": image.info.get("transparency")}
    said = {**colours, "orientation": orientation(image)}
    there = [f" {name} {value}" for name, value in said.items() if value is not None]
    kind = f"{image.mode} {image.size}" + "".join(there)
    return hashlib.sha256(kind.encode() + image.tobytes()).hexdigest()[:32]


def _complaint(problems: Sequence[str], allowed: float, total: int) -> str:
    if not problems:
        return "a source of the data has no rows; give it some"
    limit = f"max_bad_fraction {allowed} allows {int(allowed * total)} of {total}"
    return f"{len(problems)} broken rows, but {limit}; mend or remove them: {listed(problems)}"


def listed(problems: Sequence[str]) -> str:
    """The first few in one line, and in which file all of them are if there are more."""
    first = "; ".join(problems[:LISTED])
    if len(problems) <= LISTED:
        return first
    return f"{first}; and {len(problems) - LISTED} more{_written(problems)}"


def _written(problems: Sequence[str]) -> str:
    """Says where all are, a line each: a temporary file of their own, always the same one for the same problems."""
    lines = "".join(" ".join(problem.split()) + "\n" for problem in problems)
    name = hashlib.blake2b(lines.encode(errors="replace"), digest_size=6).hexdigest()
    path = Path(tempfile.gettempdir()) / f"mmtasks-problems-{name}.txt"
    try:
        path.write_text(lines, encoding="utf-8", errors="replace")
    except OSError:  # a full disk, or the file of somebody else: then the first must do
        return ""
    return f", all in {path}"
