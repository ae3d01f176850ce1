"""Windows of motion: what every source gives, and those of a manifest."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from activity.encoder import CHANNELS
from mmtasks.data.manifest import expand, read_rows, resolve
from mmtasks.errors import UserError


@dataclass(frozen=True)
class MotionRow:
    """One window. ``load`` reads its steps (T, 6): acceleration x, y, z in m/s², rotation x, y, z in rad/s.

    rate: steps a second; subject: who wore the device, empty where unknown; where: the row in messages.
    """

    id: str
    activity: str
    load: Callable[[], np.ndarray]
    rate: float
    where: str
    subject: str = ""


class MotionSource(Sequence[MotionRow]):
    """A sequence of windows. ``problems`` lists rows that were left out; ``on_disk``: their files may be broken."""

    problems: tuple[str, ...] | list[str] = ()
    on_disk: bool = False

    def __init__(self, rows: list[MotionRow]) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]


class MotionManifest(MotionSource):
    """A JSONL or CSV file with ``id``, ``motion`` and ``activity``, perhaps ``rate`` and ``subject``.

    ``motion`` is a path from the manifest's folder to a ``.npy`` of (T, 6), or a ``.csv`` of six columns, perhaps
    under a line of names.

    Args:
        path: the file; environment variables are filled in.
        rate: steps a second of windows that do not say it.

    Raises:
        UserError: the file cannot be used.
    """

    on_disk = True

    def __init__(self, path: str, *, rate: float = 50.0) -> None:
        if rate <= 0:
            raise ValueError(f"rate {rate} must be above 0 steps a second")
        self.path = path
        self.rate = rate
        file = Path(expand(path))
        rows = read_rows(file, columns=("id", "motion", "activity"))
        super().__init__([self._row(file.parent, where, row) for where, row in rows])

    def _row(self, folder: Path, where: str, row: dict[str, Any]) -> MotionRow:
        motion, activity = (row.get(name) for name in ("motion", "activity"))
        for name, value in (("motion", motion), ("activity", activity)):
            if not isinstance(value, str) or not value.strip():
                raise UserError(f"{where}: {name} is {value!r}; write a text")
        try:
            rate = float(row.get("rate") or self.rate)
        except (TypeError, ValueError):
            rate = 0.0
        if not 0 < rate < float("inf"):
            raise UserError(f"{where}: rate {row['rate']!r} is no number of steps a second above 0")
        load = partial(read_motion, resolve(folder, str(motion), where), where)
        return MotionRow(row["id"], str(activity).strip(), load, rate, where, str(row.get("subject") or ""))


def read_motion(path: Path, where: str) -> np.ndarray:
    """A file's steps, (T, 6) float32.

    Raises:
        UserError: no such file, or not numbers of that shape.
    """
    try:
        steps = np.load(path, allow_pickle=False) if path.suffix.lower() == ".npy" else _read_csv(path)
    except FileNotFoundError:
        raise UserError(f"{where}: no such file {path}") from None
    except (OSError, ValueError, EOFError):
        raise UserError(f"{where}: {path} is neither a .npy of numbers nor a .csv of them") from None
    if steps.ndim != 2 or steps.shape[1] != CHANNELS or len(steps) < 2:
        raise UserError(f"{where}: {path} has the shape {steps.shape}; it must be (steps, {CHANNELS})")
    if steps.dtype.kind not in "fiu" or not np.isfinite(steps).all():
        raise UserError(f"{where}: {path} holds something that is not a finite number")
    return steps.astype(np.float32)


def _read_csv(path: Path) -> np.ndarray:
    with path.open(encoding="utf-8-sig") as file:
        named = any(character.isalpha() and character not in "eE" for character in file.readline())
    return np.loadtxt(path, delimiter=",", skiprows=int(named), ndmin=2, encoding="utf-8-sig")
