"""Calls side by side."""

import threading
import time

import pytest
import torch
from torch import nn

from mmtasks.inference.at_once import in_threads


def test_calls_overlap_and_results_keep_their_order() -> None:
    both = threading.Barrier(2, timeout=10)  # passes only where two wait at once

    def call(item: int) -> int:
        both.wait()
        time.sleep(0.05 if item % 2 == 0 else 0)  # of each two the second is done first
        return item

    assert list(in_threads(call, range(6), threads=2)) == list(range(6))


def test_one_thread_is_the_caller_itself() -> None:
    assert set(in_threads(lambda _: threading.current_thread(), range(3), threads=1)) == {threading.current_thread()}


def test_an_error_comes_where_the_result_would() -> None:
    results = in_threads(lambda item: 6 // item, [3, 2, 0, 1], threads=2)
    assert [next(results), next(results)] == [2, 3]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_more_is_drawn_than_one_ahead() -> None:
    drawn: list[int] = []
    results = in_threads(lambda item: item, (drawn.append(i) or i for i in range(100)), threads=2)
    next(results)
    assert len(drawn) == 3
    results.close()


def test_cores_are_shared_while_it_runs_and_given_back() -> None:
    before = torch.get_num_threads()
    assert set(in_threads(lambda _: torch.get_num_threads(), range(4), threads=2)) == {max(1, before // 2)}
    assert torch.get_num_threads() == before


def test_when_it_is_closed_running_calls_end_at_their_next_layer() -> None:
    layer, began = nn.Identity(), threading.Event()

    def endless(item: int) -> int:
        while item:
            began.set()
            layer(torch.zeros(1))
        return item

    results = in_threads(endless, [0, 1, 1, 1], threads=2)
    assert next(results) == 0 and began.wait(10)
    results.close()  # would not return
    assert layer(torch.zeros(1)) == 0  # and outside, layers compute again
