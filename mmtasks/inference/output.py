"""Files that commands write."""

import os
from pathlib import Path

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
