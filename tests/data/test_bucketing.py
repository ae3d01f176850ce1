"""Batches by total length: nothing lost, little padding, the same for any number of processes."""

import itertools
import random

import pytest
import torch
from lightning import LightningModule, Trainer
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.bucketing import LengthBatches

RNG = random.Random(0)
PLAN = [[13, 12], [11], [9, 10, 8], [14], [15]]
LENGTHS = [RNG.uniform(1, 17) for _ in range(300)]


def padded(batch: list[int]) -> float:
    return len(batch) * max(LENGTHS[index % len(LENGTHS)] for index in batch)


def test_an_epoch_has_every_sample_once_within_the_budget() -> None:
    sampler = LengthBatches(LENGTHS, 100, shuffle=True)
    for epoch in range(3):
        batches = sampler.plan(epoch)
        assert sorted(itertools.chain(*batches)) == list(range(300 * epoch, 300 * (epoch + 1)))
        assert max(padded(batch) for batch in batches) <= 100
        assert len(batches) == len(sampler)


def test_padding_is_far_below_that_of_random_batches() -> None:
    order = random.Random(1).sample(range(300), 300)
    batches = [order[start : start + 10] for start in range(0, 300, 10)]
    at_random = 1 - sum(LENGTHS) / sum(padded(batch) for batch in batches)
    sampler = LengthBatches(LENGTHS, 100, shuffle=True)
    real = sum(LENGTHS)
    assert sampler.padding() == pytest.approx(1 - real / sum(padded(batch) for batch in sampler.plan(0)))
    assert sampler.padding() < 0.1 < 0.3 < at_random


def test_order_and_company_change_with_the_epoch_and_the_seed() -> None:
    first, again = (LengthBatches(LENGTHS, 100, shuffle=True).plan(0) for _ in range(2))
    assert first == again
    company = {frozenset(batch) for batch in first}
    later = {frozenset(k - 300 for k in batch) for batch in LengthBatches(LENGTHS, 100, shuffle=True).plan(1)}
    other = {frozenset(batch) for batch in LengthBatches(LENGTHS, 100, shuffle=True, seed=1).plan(0)}
    assert len(company & later) < 5 and len(company & other) < 5


def shares(lengths: list[float], budget: float, world: int, *, shuffle: bool = True, epoch: int = 0):
    """Every process's batches of an epoch, as positions."""
    samplers = [LengthBatches(lengths, budget, shuffle=shuffle, rank=r, world_size=world) for r in range(world)]
    plans = [[[key - epoch * len(lengths) for key in batch] for batch in s.plan(epoch)] for s in samplers]
    assert [len(plan) for plan in plans] == [len(sampler) for sampler in samplers]
    return plans


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_batches_of_one(world: int) -> None:
    one = LengthBatches([10.0] * 60, 120, shuffle=True, jitter=0).plan(0)
    shared = [
        LengthBatches([10.0] * 60, 120 / world, shuffle=True, jitter=0, rank=r, world_size=world).plan(0)
        for r in range(world)
    ]
    whole = [sorted(itertools.chain(*parts)) for parts in zip(*shared, strict=True)]
    assert whole == [sorted(batch) for batch in one]


@pytest.mark.parametrize("world", [2, 3, 4, 8])
@pytest.mark.parametrize("lengths", [LENGTHS, [25.0] * 10, [9.1] * 40 + [19.5] * 20, [3.0] * 7 + [15.0]])
def test_long_samples_are_trained_on_too_within_the_budget_of_each_process(lengths: list[float], world: int) -> None:
    plans = shares(lengths, 20, world)
    seen = [index for plan in plans for batch in plan for index in batch]
    assert len(seen) == len(set(seen)) == len(lengths) - len(lengths) % world
    assert len({len(plan) for plan in plans}) == 1
    for parts in zip(*plans, strict=True):
        assert len({len(part) for part in parts}) == 1
    for batch in itertools.chain(*plans):
        assert len(batch) == 1 or len(batch) * max(lengths[index] for index in batch) <= 20


def test_what_processes_leave_over_differs_from_epoch_to_epoch() -> None:
    left = []
    for epoch in range(30):
        seen = {index for plan in shares(LENGTHS[:10], 40, 4, epoch=epoch) for batch in plan for index in batch}
        left.append(set(range(10)) - seen)
    assert {len(absent) for absent in left} == {2}
    assert set.union(*left) == set(range(10))


def test_evaluation_stays_within_the_budget_of_each_process() -> None:
    plans = shares(LENGTHS, 20, 8, shuffle=False)
    assert sorted(index for plan in plans for batch in plan for index in batch) == list(range(300))
    assert max(padded(batch) for batch in itertools.chain(*plans)) <= 20


def test_one_process_has_the_batches_that_it_always_had() -> None:
    sampler = LengthBatches([3, 1, 2, 6, 5, 4, 9, 12], 12, shuffle=True, seed=3)
    assert sampler.plan(1) == PLAN


@pytest.mark.parametrize("world", [1, 2, 7])
def test_evaluation_sees_each_sample_once(world: int) -> None:
    lengths = LENGTHS[:5]
    shares = [LengthBatches(lengths, 1000, shuffle=False, rank=r, world_size=world).plan(0) for r in range(world)]
    assert sorted(k for share in shares for batch in share for k in batch) == list(range(5))


def test_a_sample_above_the_budget_is_a_batch_alone_and_batches_have_a_most_size() -> None:
    assert LengthBatches([1, 2, 50], 10, shuffle=False).plan(0) == [[0, 1], [2]]
    assert max(map(len, LengthBatches([1] * 100, 1000, shuffle=True, max_size=8).plan(0))) == 8


def test_a_loader_goes_on_within_an_epoch() -> None:
    def loader() -> StatefulDataLoader:
        return StatefulDataLoader(torch.arange(600), batch_sampler=LengthBatches(LENGTHS, 100, shuffle=True))

    first = loader()
    first.batch_sampler.set_epoch(1)
    batches = iter(first)
    for _ in range(2):
        next(batches)
    state = first.state_dict()
    rest = [batch.tolist() for batch in batches]
    resumed = loader()
    resumed.load_state_dict(state)
    assert [batch.tolist() for batch in resumed] == rest
    assert len(rest) == len(first) - 2


def test_the_trainer_brings_other_batches_every_epoch() -> None:
    seen: list[list[int]] = []

    class Module(LightningModule):
        def training_step(self, batch: torch.Tensor, batch_idx: int) -> None:
            seen.append(batch.tolist())

        def configure_optimizers(self) -> None:
            pass

    sampler = LengthBatches(LENGTHS[:20], 100, shuffle=True)
    trainer = Trainer(
        accelerator="cpu", max_epochs=2, logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(Module(), StatefulDataLoader(torch.arange(40), batch_sampler=sampler))
    assert seen == sampler.plan(0) + sampler.plan(1)
