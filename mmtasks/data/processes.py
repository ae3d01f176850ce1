"""Work of the interpreter shared among processes, where threads would wait for each other."""

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

import torch

Item = TypeVar("Item")
Made = TypeVar("Made")
FEW = 64
"""Items that a process is not worth starting for."""


def in_processes(make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """What ``make`` makes of each item, in order; by a process for each core where the system can fork.

    ``make`` must be as quick anywhere: forked processes know what this one knows, and give back plain values.
    """
    processes = min(cores(), len(items) // FEW)
    if processes < 2 or "fork" not in multiprocessing.get_all_start_methods():
        yield from map(make, items)
        return
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(make,)) as pool:
        yield from pool.map(_make, items, chunksize=max(1, FEW // 4))


_shared: Any = None
"""What the processes of a pool do. Forked, not sent: it may hold all that is known."""


def _begin(make: Callable[..., Any]) -> None:
    global _shared
    _shared = make
    torch.set_num_threads(1)  # threads of the parent do not exist here


def _make(item: Any) -> Any:
    return _shared(item)


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
