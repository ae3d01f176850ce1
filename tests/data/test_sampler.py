"""Every sample once, shared fairly, in an order that a stopped run takes up again."""

import itertools

import pytest
import torch
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.sampler import EpochSampler


@pytest.mark.parametrize("world", [1, 2, 3])
def test_evaluation_sees_each_sample_once_and_training_shares_equally(world: int) -> None:
    plain = [list(EpochSampler(10, shuffle=False, rank=r, world_size=world)) for r in range(world)]
    assert sorted(itertools.chain(*plain)) == list(range(10))
    shuffled = [list(EpochSampler(10, shuffle=True, rank=r, world_size=world)) for r in range(world)]
    assert {len(keys) for keys in shuffled} == {10 // world}
    assert len(set(itertools.chain(*shuffled))) == 10 // world * world


def test_order_changes_with_the_epoch_and_groups_stay_together() -> None:
    sampler = EpochSampler(10, shuffle=True, group=2)
    first = list(sampler)
    sampler.set_epoch(1)
    second = [key - 10 for key in sampler]
    assert first != second and sorted(first) == sorted(second) == list(range(10))
    assert all(a // 2 == b // 2 for a, b in zip(second[::2], second[1::2], strict=True))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_goes_on_within_an_epoch(workers: int) -> None:
    def loader() -> StatefulDataLoader:
        return StatefulDataLoader(
            torch.arange(60),
            batch_size=4,
            sampler=EpochSampler(20, shuffle=True),
            num_workers=workers,
            persistent_workers=workers > 0,
        )

    first = loader()
    first.sampler.set_epoch(1)
    batches = iter(first)
    for _ in range(2):
        next(batches)
    state = first.state_dict()
    rest = [batch.tolist() for batch in batches]
    resumed = loader()  # of epoch 0, until the state is read
    resumed.load_state_dict(state)
    assert [batch.tolist() for batch in resumed] == rest
    assert len(rest) == 3
    for again in (first, resumed):
        again.sampler.set_epoch(2)
    one, other = ([key for batch in again for key in batch.tolist()] for again in (first, resumed))
    assert one == other and sorted(one) == list(range(40, 60))
