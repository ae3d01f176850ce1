"""Several batches at once, in threads that share the cores."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from typing import Any, TypeVar

import torch
from torch.nn.modules.module import register_module_forward_pre_hook

T = TypeVar("T")
R = TypeVar("R")


class Stopped(Exception):
    """Nobody waits for the result any more."""


def in_threads(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """``map`` with so many calls at once, each on its share of the cores; results come in order.

    Items are drawn one ahead of those that are worked on. When the iterator is closed or interrupted, running calls end
    at the next layer that they compute. With one thread it is ``map`` itself.

    >>> list(in_threads(lambda x: 2 * x, range(5), threads=2))
    [0, 2, 4, 6, 8]
    """
    if threads < 2:
        yield from map(function, items)
        return
    stop = Event()
    waiting: deque[Future[R]] = deque()
    with _cores_shared(threads), _layers_that(stop), ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            stop.set()
            for future in waiting:
                future.cancel()


@contextmanager
def _cores_shared(threads: int) -> Iterator[None]:
    """Each of several threads computes with its part of the cores."""
    cores = torch.get_num_threads()
    torch.set_num_threads(max(1, cores // threads))
    try:
        yield
    finally:
        torch.set_num_threads(cores)


@contextmanager
def _layers_that(stop: Event) -> Iterator[None]:
    """Any layer raises ``Stopped`` once it is said: a thread cannot be ended from outside."""

    def check(*_: Any) -> None:
        if stop.is_set():
            raise Stopped

    hook = register_module_forward_pre_hook(check)
    try:
        yield
    finally:
        hook.remove()
