"""Work of the interpreter shared among processes, where threads would wait for each other."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

import torch

from mmtasks.errors import UserError

Item = TypeVar("Item")
Made = TypeVar("Made")
FEW = 64
"""Items that a process is not worth starting for."""


def in_processes(make: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
    """What ``make`` makes of each item, in order; by a process for each core, on Linux, where forking is safe.

    Forked processes know what this one knows, and give back plain values. They end with this one, however it ends.

    Raises:
        UserError: one of the processes was ended from outside.
    """
    processes = min(cores(), len(items) // FEW)
    if processes < 2 or sys.platform != "linux":
        yield from map(make, items)
        return
    context = multiprocessing.get_context("fork")
    try:
        with ProcessPoolExecutor(processes, context, initializer=_begin, initargs=(make,)) as pool:
            yield from pool.map(_make, items, chunksize=max(1, FEW // 4))
    except BrokenProcessPool:
        raise UserError(
            "a process that prepared data was ended, by a signal or for want of memory; start again with fewer cores "
            "(taskset -c 0) or more memory"
        ) from None


def cores() -> int:
    """Those that this process may use, shared with the others that train on this machine."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, usable // int(os.environ.get("LOCAL_WORLD_SIZE", "1")))


_shared: Any = None
"""What the processes of a pool do. Forked, not sent: it may hold all that is known."""


def _begin(make: Callable[..., Any]) -> None:
    global _shared
    _shared = make
    torch.set_num_threads(1)  # threads of the parent do not exist here
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends its pool
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _make(item: Any) -> Any:
    return _shared(item)


def _end_with_parent() -> None:
    """A pool's processes wait for work without end, also when there is nobody left to give any."""
    if parent := multiprocessing.parent_process():
        parent.join()
        os._exit(1)
