"""Two processes with half the batch each have the gradients of one process with the whole."""

import os
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmtasks.types import Batch, Modality
from tests.small import small_backbone, small_batch, small_objective


def _gradients(contrastive: str, batch: Batch) -> dict[str, torch.Tensor]:
    backbone, objective = small_backbone(), small_objective(contrastive, negatives=2, ranking=True)
    tokens = backbone.encode(batch.inputs)
    losses = objective.losses(objective(tokens, backbone.fuse, batch), batch)
    torch.stack(list(losses.values())).sum().backward()
    named = [*backbone.named_parameters(), *objective.named_parameters()]
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def _half(batch: Batch, rank: int) -> Batch:
    part = slice(3 * rank, 3 * rank + 3)
    inputs = {name: Modality(m.data[part], m.mask[part]) for name, m in batch.inputs.items()}
    return Batch(inputs, {name: t[part] for name, t in batch.target.items()}, batch.ids[part])


def _work(rank: int, contrastive: str, folder: str) -> None:
    torch.set_num_threads(1)
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2"}
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    gradients = _gradients(contrastive, _half(small_batch(), rank))
    for gradient in gradients.values():
        dist.all_reduce(gradient)
        gradient /= 2  # what DistributedDataParallel does
    if rank == 0:
        torch.save(gradients, f"{folder}/gradients.pt")
    dist.destroy_process_group()


@pytest.mark.parametrize("contrastive", ["softmax", "sigmoid"])
def test_two_processes_give_the_gradients_of_one(contrastive: str, tmp_path: Path) -> None:
    mp.spawn(_work, (contrastive, str(tmp_path)), nprocs=2)
    two = torch.load(tmp_path / "gradients.pt", weights_only=True)
    one = _gradients(contrastive, small_batch())
    assert two.keys() == one.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(two[name], gradient, rtol=1e-4, atol=1e-5, msg=name)
