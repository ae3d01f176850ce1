"""Which videos a fold learns from, chooses by and reports on."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

from mmtasks.data.manifest import expand
from mmtasks.errors import UserError

PARTS = ("train", "test")


def read_splits(splits: str) -> list[dict[str, list[str]]]:
    """The ``train`` and ``test`` ids of every fold, of a JSON file ``[{"train": [id, …], "test": [id, …]}, …]``.

    Raises:
        UserError: no such file, not JSON, no fold, or one that lacks ids, names one twice or has one in both parts.
    """
    file = Path(expand(splits))
    try:
        folds = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{splits}: not a readable JSON file of splits ({error})") from None
    if not isinstance(folds, list) or not folds:
        raise UserError(f'{splits}: give a list with a fold each, {{"train": [id, …], "test": [id, …]}}')
    return [_parts(fold, f"{splits}: fold {number}") for number, fold in enumerate(folds)]


def read_fold(splits: str, fold: int, known: set[str], path: str) -> dict[str, list[str]]:
    """The ``train`` and ``test`` ids of a fold, sorted.

    Raises:
        UserError: ``read_splits`` does, there is no such fold, or it has a video that is not in ``known``.
    """
    folds = read_splits(splits)
    if not 0 <= fold < len(folds):
        raise UserError(f"{splits}: fold {fold} is not among its {len(folds)}; count from 0")
    for part, names in folds[fold].items():
        if unknown := sorted(set(names) - known):
            raise UserError(f"{splits}: fold {fold} names {unknown[0]!r} in {part}, which {path} does not hold")
    return {part: sorted(names) for part, names in folds[fold].items()}


def _parts(fold: Any, where: str) -> dict[str, list[str]]:
    parts = {}
    for part in PARTS:
        names = fold.get(part) if isinstance(fold, dict) else None
        if not isinstance(names, list) or not names:
            raise UserError(f"{where} has no list {part!r} of ids; write one")
        for name in names:
            if not isinstance(name, str):
                raise UserError(f"{where} has {json.dumps(name)} in {part}, which is no id; write a text")
        if twice := [name for name, after in pairwise(sorted(names)) if name == after]:
            raise UserError(f"{where} names {twice[0]!r} twice in {part}; leave out one")
        parts[part] = names
    if shared := sorted(set(parts["train"]) & set(parts["test"])):
        raise UserError(f"{where} has {shared[0]!r} in both train and test; take it out of one")
    return parts


def carve(names: list[str], categories: dict[str, str], share: float) -> list[str]:
    """Held-out videos, spread over the categories: every so many of the list in order of category.

    >>> carve(["a", "b", "c", "d"], {"a": "x", "b": "y", "c": "x", "d": "y"}, 0.5)
    ['a', 'b']
    """
    ordered = sorted(names, key=lambda name: (categories[name], name))
    count = min(max(1, round(share * len(ordered))), len(ordered) - 1)
    return sorted(ordered[int((k + 0.5) * len(ordered) / count - 0.5)] for k in range(count))
