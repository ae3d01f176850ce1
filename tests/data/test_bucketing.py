"""Batches by total length: nothing lost, little padding, the same for any number of processes."""

import itertools
import random

import pytest
import torch
from lightning import LightningModule, Trainer
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.data.bucketing import LengthBatches

RNG = random.Random(0)
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


@pytest.mark.parametrize("world", [2, 3])
def test_processes_share_the_batches_of_one(world: int) -> None:
    one = LengthBatches(LENGTHS, 120, shuffle=True).plan(0)
    shares = [LengthBatches(LENGTHS, 120 / world, shuffle=True, rank=r, world_size=world).plan(0) for r in range(world)]
    whole = [sorted(batch) for batch in one if len(batch) >= world]
    assert [sorted(itertools.chain(*parts)) for parts in zip(*shares, strict=True)] == whole
    assert len(whole) >= len(one) - 1
    assert all(abs(len(a) - len(b)) <= 1 for parts in zip(*shares, strict=True) for a in parts for b in parts)


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
