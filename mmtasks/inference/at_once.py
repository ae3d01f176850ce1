"""Several batches at once, in threads that share the cores."""

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any, TypeVar

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):
    """Nobody waits for the result any more."""


def in_threads(function: Callable[[T], R], items: Iterable[T], threads: int) -> Generator[R]:
    """``map`` with so many calls at once, each on its share of the cores; results come in order.

    Items are drawn one ahead of those that are worked on. When the generator is closed or interrupted, running calls
    end at the next layer that they compute. With one thread, or a single item, it is ``map`` itself.

    >>> list(in_threads(lambda x: 2 * x, range(5), threads=2))
    [0, 2, 4, 6, 8]
    """
    if threads < 2:
        yield from map(function, items)
        return
    items = iter(items)
    first = list(islice(items, 2))
    if len(first) < 2:
        yield from map(function, first)
        return
    stop = threading.Event()
    waiting: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(threads, initializer=_obey, initargs=(stop,))
    with _cores.shared(threads), _layers_obey(), pool:
        try:
            for item in chain(first, items):
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()


class _Cores:
    """How many cores a computation takes is one number for all threads: the first to share them keeps what it was, the
    last gives it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 1

    @contextmanager
    def shared(self, threads: int) -> Iterator[None]:
        """Each of several threads computes with its part of the cores."""
        with self._lock:
            if not self._users:
                self._before = torch.get_num_threads()
            self._users += 1
            torch.set_num_threads(max(1, self._before // threads))
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    torch.set_num_threads(self._before)


_cores = _Cores()
_own = threading.local()


def _obey(stop: threading.Event) -> None:
    """Layers that this thread computes raise ``Stopped`` once it is said: a thread cannot be ended from outside."""
    _own.stop = stop


@contextmanager
def _layers_obey() -> Iterator[None]:
    """In the threads that ``_obey``, and in no other."""

    def check(*_: Any) -> None:
        stop = getattr(_own, "stop", None)
        if stop is not None and stop.is_set():
            raise Stopped

    hook = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()
