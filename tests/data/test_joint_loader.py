"""Several tasks' batches as one epoch, which a stopped run takes up where it was."""

from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.joint_loader import JointLoader
from mmtasks.data.sampler import EpochSampler
from mmtasks.data.sampling import EveryTask, OneTask, Sampling
from mmtasks.errors import UserError

STEPS = 9


def joint(sampling: Sampling, *, workers: int = 0, rank: int = 0, world_size: int = 1) -> JointLoader:
    """Task a: 3 batches of 4 samples; task b: 2 of 2. A sample is its key: epoch * size + index."""

    def loader(size: int, batch_size: int) -> StatefulDataLoader:
        sampler = EpochSampler(size, shuffle=True, rank=rank, world_size=world_size)
        return StatefulDataLoader(
            torch.arange(1000),
            batch_size=batch_size,
            sampler=sampler,
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    return JointLoader({"a": loader(12, 4), "b": loader(4, 2)}, sampling, steps=STEPS)


def plain(steps: Iterator) -> list[dict[str, list[int]]]:
    return [{name: batch.tolist() for name, batch in step.items()} for step in steps]


def test_each_task_comes_again_in_a_new_order_whenever_it_ends() -> None:
    steps = plain(iter(joint(EveryTask())))
    assert len(steps) == STEPS
    passes = [[key for step in steps[start : start + 3] for key in step["a"]] for start in (0, 3, 6)]
    for number, keys in enumerate(passes):
        assert sorted(keys) == list(range(12 * number, 12 * number + 12))
    assert [key % 12 for key in passes[0]] != [key % 12 for key in passes[1]]


def test_data_goes_on_from_epoch_to_epoch() -> None:
    loader = joint(EveryTask())
    first = plain(iter(loader))
    loader.set_epoch(1)
    assert plain(iter(loader))[0]["b"] not in [step["b"] for step in first]


def test_all_processes_draw_the_same_tasks_and_share_their_samples() -> None:
    sampling = OneTask()
    steps = [plain(iter(joint(sampling, rank=rank, world_size=2))) for rank in range(2)]
    assert [list(step) for step in steps[0]] == [list(step) for step in steps[1]]
    assert {len(step) for step in steps[0]} == {1} and {name for step in steps[0] for name in step} == {"a", "b"}
    first = [{key for step in part[:3] for key in step.get("a", [])} for part in steps]
    assert not first[0] & first[1]


def test_another_epoch_draws_other_tasks() -> None:
    loader = joint(OneTask())
    assert loader.draws(0) == loader.draws(0) != loader.draws(1)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("sampling", [EveryTask(), OneTask()], ids=["every", "one"])
@pytest.mark.parametrize("done", [0, 4, STEPS])
def test_a_stopped_epoch_goes_on_where_it_was(sampling: Sampling, workers: int, done: int) -> None:
    whole = joint(sampling, workers=workers)
    steps = plain(iter(whole))
    whole.set_epoch(1)
    steps += plain(iter(whole))

    stopped = joint(sampling, workers=workers)
    epoch = iter(stopped)
    before = plain(islice(epoch, done))
    resumed = joint(sampling, workers=workers)
    resumed.load_state_dict(stopped.state_dict())
    resumed.set_epoch(int(done == STEPS))
    after = plain(iter(resumed))
    if done < STEPS:
        resumed.set_epoch(1)
        after += plain(iter(resumed))
    assert before + after == steps


@pytest.mark.parametrize("second", [0, 1, 2])
@pytest.mark.parametrize("first", range(1, STEPS - 2))
def test_an_epoch_stopped_twice_goes_on_where_it_was(first: int, second: int) -> None:
    """Wherever the second stop falls: before the first batch of some task too."""
    whole = plain(iter(joint(OneTask())))
    loader, found = joint(OneTask()), []
    for steps in (first, second, None):
        found += plain(islice(iter(loader), steps))
        state = loader.state_dict()
        loader = joint(OneTask())
        loader.load_state_dict(state)
    assert found == whole


@pytest.mark.parametrize("sampling", [EveryTask(), OneTask()], ids=["every", "one"])
def test_the_epoch_after_one_of_fewer_steps_begins_with_its_first(sampling: Sampling) -> None:
    """As ``limit_train_batches`` has it."""
    whole, resumed = joint(sampling), joint(sampling)
    list(islice(iter(whole), 4))
    resumed.load_state_dict(whole.state_dict())
    for loader in (whole, resumed):
        loader.set_epoch(1)
    assert plain(iter(resumed)) == plain(iter(whole))


def test_an_epoch_cut_short_begins_anew() -> None:
    loader = joint(OneTask())
    next(iter(loader))
    assert len(plain(iter(loader))) == STEPS


def test_state_of_other_tasks_is_named() -> None:
    loader = joint(EveryTask())
    state = loader.state_dict()
    state["streams"]["c"] = state["streams"].pop("b")
    with pytest.raises(UserError, match="tasks a, c; the config has a, b"):
        loader.load_state_dict(state)


def test_a_task_without_a_batch_is_named() -> None:
    empty = StatefulDataLoader(torch.arange(0), batch_size=1)
    with pytest.raises(UserError, match="b: too few training samples"):
        JointLoader({"a": StatefulDataLoader(torch.arange(2)), "b": empty}, EveryTask())
