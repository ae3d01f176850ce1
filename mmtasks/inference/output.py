"""Files that commands write."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Self, TextIO

from mmtasks.errors import UserError


def check_writable(path: Path) -> None:
    """Say so before the work is done, not after."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: no folder {path.parent}; make it or choose another --output")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: cannot be written; choose another --output")


def check_kept(path: Path, *read: str | Path | None) -> None:
    """Complain of an output that would take the place of a file that is read."""
    for other in read:
        if other is not None and path.exists() and Path(other).exists() and path.samefile(other):
            raise UserError(f"{path}: is read by this command and would be overwritten; choose another output")


def write(path: Path, text: str) -> None:
    """The whole file or nothing of it."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None


def reason(error: Exception, name: object) -> str:
    """One line for a file of a batch; of a full disk and its like, which no code has put into words, what to do."""
    if isinstance(error, UserError):
        return str(error)
    told = getattr(error, "strerror", None) or " ".join(str(error).split())
    return f"{name}: cannot be read or its results cannot be written ({told}); make room, or check the disk"


class WholeFile:
    """A text file that is whole or not there; until it is whole it lies beside, ``PATH.part``.

    However the work ends, what was done stays there. At an exception, Ctrl-C too, that is said.

    Args:
        path: the file to write.
        unit: what ``count`` counts of what was written to ``stream``.
        endless: whether the work has no other end than Ctrl-C, which then makes the file whole.

    Raises:
        UserError: it cannot be written.
    """

    stream: TextIO

    def __init__(self, path: str | Path, *, unit: str, endless: bool = False) -> None:
        self.path = Path(path)
        self.beside = self.path.with_name(f"{self.path.name}.part")
        self.unit = unit
        self.endless = endless
        self.count = 0

    def __enter__(self) -> Self:
        try:
            self.stream = self.beside.open("w", encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        whole = kind is None or (self.endless and issubclass(kind, KeyboardInterrupt))
        try:
            self.stream.close()
            if whole:
                self.beside.replace(self.path)
        except OSError as error:
            if whole:
                raise self._unwritable(error) from None
        if not whole and self.count:
            told = f"{self.count} {self.unit} done are kept in {self.beside}"
            print(f"mmtasks: warning: not finished; {told}", file=sys.stderr)
        elif not whole:
            self.beside.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be written ({error.strerror}); choose another --output")


class JsonLines(WholeFile):
    """A file of JSON lines.

    Args:
        path: the file to write.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path, unit="lines")

    def add(self, line: dict[str, Any]) -> None:
        """Write one more, at once."""
        try:
            self.stream.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
            self.stream.flush()
        except OSError as error:
            raise self._unwritable(error) from None
        self.count += 1
