"""Which videos a fold learns from, chooses by and reports on."""

import json
from pathlib import Path
from typing import Any

from mmtasks.data.manifest import expand
from mmtasks.errors import UserError


def read_splits(splits: str) -> Any:
    """What a JSON file of splits holds: ``[{"train": [id, …], "test": [id, …]}, …]``, unchecked.

    Raises:
        UserError: no such file, or not JSON.
    """
    file = Path(expand(splits))
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{splits}: not a readable JSON file of splits ({error})") from None


def read_fold(splits: str, fold: int, known: set[str], path: str) -> dict[str, list[str]]:
    """The ``train`` and ``test`` ids of a fold.

    Raises:
        UserError: no such file or fold, a video that is not in ``known``, or one that is in both.
    """
    folds = read_splits(splits)
    if not isinstance(folds, list) or not 0 <= fold < len(folds):
        count = len(folds) if isinstance(folds, list) else 0
        raise UserError(f"{splits}: fold {fold} is not among its {count}; count from 0")
    parts: dict[str, list[str]] = {}
    for part in ("train", "test"):
        names = folds[fold].get(part) if isinstance(folds[fold], dict) else None
        if not isinstance(names, list) or not names:
            raise UserError(f"{splits}: fold {fold} has no list {part!r} of ids; write one")
        if unknown := sorted(set(names) - known):
            raise UserError(f"{splits}: fold {fold} names {unknown[0]!r} in {part}, which {path} does not hold")
        parts[part] = sorted(names)
    if shared := sorted(set(parts["train"]) & set(parts["test"])):
        raise UserError(f"{splits}: fold {fold} has {shared[0]!r} in both train and test; take it out of one")
    return parts


def carve(names: list[str], categories: dict[str, str], share: float) -> list[str]:
    """Held-out videos, spread over the categories: every so many of the list in order of category.

    >>> carve(["a", "b", "c", "d"], {"a": "x", "b": "y", "c": "x", "d": "y"}, 0.5)
    ['a', 'b']
    """
    ordered = sorted(names, key=lambda name: (categories[name], name))
    count = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    return sorted(ordered[int((k + 0.5) * len(ordered) / count - 0.5)] for k in range(count))
