"""Joint training in two processes: every step touches every weight, or DDP finds those that it does not."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmtasks.backbone import Backbone
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.text import BagOfWords
from mmtasks.encoders.video import VideoEncoder
from mmtasks.fusion.mman import MMAN
from mmtasks.objectives.image_text import ImageText
from mmtasks.objectives.summary import SummaryScoring
from mmtasks.tasks.base import TaskModule
from mmtasks.types import Batch, Modality
from tests.objectives import test_summary
from tests.processes import together
from tests.small import small_batch

FACTS = {"image": {}, "text": {"vocab_size": 20, "pad_id": 0, "max_length": 8}, "video": test_summary.FACTS["video"]}
STEPS = {
    "every": [("matching", "summary"), ("matching", "summary")],
    "one": [("matching",), ("summary",), ("matching",)],
}
"""By mode: the tasks of each step."""


class Loss(nn.Module):
    """What DistributedDataParallel calls."""

    def __init__(self, task: TaskModule) -> None:
        super().__init__()
        self.task = task

    def forward(self, batch: dict[str, Batch]) -> Tensor:
        return self.task.total(self.task.losses(batch))


def joint() -> TaskModule:
    """Two tasks that share words and fusion."""
    torch.manual_seed(0)
    encoders = {
        "image": ResNetEncoder(layers=[1], base_width=8, stem="small"),
        "text": BagOfWords(8),
        "video": VideoEncoder(8),
    }
    task = TaskModule(Backbone(encoders, MMAN(), dim=8), {"matching": ImageText(), "summary": SummaryScoring()})
    task.build(FACTS)
    return task


def part(batch: Batch, rank: int, world: int) -> Batch:
    """What a process gets."""
    rows = slice(rank, None, world)
    inputs = {name: Modality(value.data[rows], value.mask[rows]) for name, value in batch.inputs.items()}
    return Batch(inputs, {name: value[rows] for name, value in batch.target.items()}, batch.ids[rows])


def gradients(rank: int, world: int, mode: str) -> list[dict[str, Tensor]]:
    """Those of each step; without the weights that got none."""
    loss: nn.Module = Loss(joint())
    module = DistributedDataParallel(loss, find_unused_parameters=mode == "one") if world > 1 else loss
    batches = {"matching": small_batch(4), "summary": test_summary.batch(7, 4, 9)}
    steps = []
    for names in STEPS[mode]:
        module.zero_grad(set_to_none=True)
        module({name: part(batches[name], rank, world) for name in names}).backward()
        steps.append({key: weight.grad.clone() for key, weight in loss.named_parameters() if weight.grad is not None})
    return steps


def both(rank: int, world: int) -> dict[str, Any]:
    """Both modes, in one start of the processes."""
    return {mode: gradients(rank, world, mode) for mode in STEPS}


@pytest.mark.slow
def test_two_processes_have_the_gradients_of_one_in_both_modes(tmp_path: Path) -> None:
    found, alone = together(2, both, tmp_path), both(0, 1)
    for mode in STEPS:
        for process in found:
            for shared, whole in zip(process[mode], alone[mode], strict=True):
                assert shared.keys() == whole.keys()
                for name, value in whole.items():
                    torch.testing.assert_close(shared[name], value, rtol=1e-4, atol=1e-5, msg=f"{mode} {name}")


def test_a_step_of_every_task_touches_every_weight_and_one_of_a_task_only_its_own() -> None:
    trained = {name for name, weight in Loss(joint()).named_parameters() if weight.requires_grad}
    assert all(step.keys() == trained for step in gradients(0, 1, "every"))
    matching, summary, _ = gradients(0, 1, "one")
    assert matching.keys() | summary.keys() == trained
    words = ("encoders.text.", "project.text.", "modality.text", "fusion.")
    shared = {name for name in trained if name.removeprefix("task.backbone.").startswith(words)}
    assert matching.keys() & summary.keys() == shared
