"""Calls side by side."""

import threading
import time
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from mmtasks.inference.at_once import in_threads

PATIENCE = 20.0
"""Seconds after which a test fails instead of waiting on."""


@pytest.fixture
def four_cores() -> Iterator[None]:
    """As torch sees it."""
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def test_calls_overlap_and_results_keep_their_order() -> None:
    done = [threading.Event() for _ in range(6)]

    def call(item: int) -> int:
        if item % 2 == 0:  # waits for the next one, which therefore must run beside it, and is done first
            assert done[item + 1].wait(PATIENCE)
        done[item].set()
        return item

    assert list(in_threads(call, range(6), threads=2)) == list(range(6))


@pytest.mark.parametrize(("items", "threads"), [(3, 1), (1, 2)])
def test_one_at_a_time_is_the_caller_itself_with_all_cores(items: int, threads: int, four_cores: None) -> None:
    def call(_: int) -> tuple[threading.Thread, int]:
        return threading.current_thread(), torch.get_num_threads()

    assert set(in_threads(call, range(items), threads)) == {(threading.current_thread(), 4)}
    assert not list(in_threads(call, [], threads))


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


def test_cores_are_shared_while_it_runs_and_given_back(four_cores: None) -> None:
    assert set(in_threads(lambda _: torch.get_num_threads(), range(4), threads=2)) == {2}
    assert torch.get_num_threads() == 4


def test_two_that_end_in_the_order_they_began_give_all_cores_back(four_cores: None) -> None:
    one, other = (in_threads(lambda _: torch.get_num_threads(), range(4), threads=2) for _ in range(2))
    assert [next(one), next(other), *one, *other] == [2] * 8
    assert torch.get_num_threads() == 4


def test_when_it_is_closed_its_own_calls_end_at_their_next_layer() -> None:
    layer, began, late = nn.Identity(), threading.Event(), []

    def long(item: int) -> int:
        until = time.monotonic() + PATIENCE
        while item and time.monotonic() < until:
            began.set()
            layer(torch.zeros(1))
        late.extend([item] * item)
        return item

    results, others = in_threads(long, [0, 1, 1, 1], threads=2), in_threads(lambda x: layer(x), torch.ones(4), 2)
    assert next(results) == 0 and next(others) == 1 and began.wait(PATIENCE)
    results.close()
    assert not late and list(others) == [1, 1, 1]
