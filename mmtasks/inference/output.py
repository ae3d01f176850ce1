"""Files that commands write."""

import json
import os
import sys
from pathlib import Path
from typing import Any, Self

from mmtasks.errors import UserError


def check_writable(path: Path) -> None:
    """Say so before the work is done, not after."""
    if not path.parent.is_dir():
        raise UserError(f"{path}: no folder {path.parent}; make it or choose another --output")
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise UserError(f"{path}: cannot be written; choose another --output")


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


class JsonLines:
    """A file of JSON lines that is whole or not there; until it is whole its lines lie beside it, ``PATH.part``.

    However the work ends, what was done stays there. At an exception, Ctrl-C too, that is said.

    Args:
        path: the file to write.

    Raises:
        UserError: it cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.beside = self.path.with_name(f"{self.path.name}.part")
        self.count = 0

    def __enter__(self) -> Self:
        try:
            self._stream = self.beside.open("w", encoding="utf-8")
        except OSError as error:
            raise self._unwritable(error) from None
        return self

    def add(self, line: dict[str, Any]) -> None:
        """Write one more, at once."""
        try:
            self._stream.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._stream.flush()
        except OSError as error:
            raise self._unwritable(error) from None
        self.count += 1

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        try:
            self._stream.close()
            if kind is None:
                self.beside.replace(self.path)
        except OSError as error:
            if kind is None:
                raise self._unwritable(error) from None
        if kind is not None and self.count:
            print(f"mmtasks: warning: not finished; {self.count} lines done are kept in {self.beside}", file=sys.stderr)
        elif kind is not None:
            self.beside.unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(f"{self.path}: cannot be written ({error.strerror}); choose another --output")
