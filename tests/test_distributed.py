"""Several processes with a part of the batch each have the losses and gradients of one process with the whole."""

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn

from mmtasks.distributed import gather_objects
from mmtasks.heads.decoder import TransformerDecoder
from mmtasks.metrics.gather import gather_uneven
from mmtasks.metrics.pairs import LabelledPairs
from mmtasks.objectives.speech import Transcription
from mmtasks.types import Batch, Modality
from tests.objectives import test_speech, test_summary
from tests.processes import together
from tests.small import small_backbone, small_batch, small_objective

LOSSES = {"regression": 1.0, "correlation": 0.5, "ranking": 0.5, "unsupervised": 0.2}


class Case(NamedTuple):
    """A model and the whole batch."""

    backbone: nn.Module
    objective: nn.Module
    batch: Batch


def image_text(contrastive: str) -> Case:
    """Contrastive loss, hard negatives and ranking, all over the global batch."""
    objective = small_objective(contrastive, negatives=2, ranking=True)
    return Case(small_backbone(), objective, small_batch(8))


def speech() -> Case:
    """CTC and a decoder, over utterances of other lengths with transcripts of other lengths."""
    backbone, _, batch = test_speech.task()
    lengths = torch.tensor([8000, 3000, 6000, 7000, 5000])
    rows = torch.arange(len(lengths)) % len(batch.ids)
    audio = Modality(torch.randn(len(lengths), 8000), torch.arange(8000) < lengths[:, None])
    target = {name: batch.target[name][rows] for name in ("transcript", "transcript_length")}
    objective = Transcription(
        decoder=TransformerDecoder(num_layers=1, num_heads=2, dropout=0.0), ctc_weight=0.3, dropout=0.0
    )
    torch.manual_seed(1)
    objective.build(16, test_speech.facts())
    return Case(backbone, objective, Batch({"audio": audio}, target, list("abcde")))


def summary() -> Case:
    """All losses, over videos of other lengths, one of which nobody judged."""
    batch = test_summary.batch(7, 4, 9, 5, 6)
    judged = batch.target["judged"].clone()
    judged[1] = False
    return Case(*test_summary.model(LOSSES), batch._replace(target={**batch.target, "judged": judged}))


CASES: dict[str, Callable[[], Case]] = {
    "softmax": lambda: image_text("softmax"),
    "sigmoid": lambda: image_text("sigmoid"),
    "speech": speech,
    "summary": summary,
}


def part(case: Case, rank: int, world: int) -> Batch:
    """The samples that a process gets: neighbours of a batch go to different processes, as loaders deal them."""

    def rows(value: Any) -> Any:
        return value[rank::world]

    batch = case.batch
    inputs = {name: Modality(*map(rows, value)) for name, value in batch.inputs.items()}
    return Batch(inputs, {name: rows(value) for name, value in batch.target.items()}, rows(batch.ids))


def learned(rank: int, world: int, name: str) -> dict[str, Tensor]:
    """The loss and all gradients, averaged over processes as DistributedDataParallel does."""
    case = CASES[name]()
    batch = part(case, rank, world)
    torch.manual_seed(4)  # the pairs of steps that are ranked
    output = case.objective(case.backbone.encode(batch.inputs), case.backbone.fuse, batch)
    loss = torch.stack(list(case.objective.losses(output, batch).values())).sum()
    loss.backward()
    found = {"loss": loss.detach()}
    for module in (case.backbone, case.objective):
        found |= {f"{type(module).__name__}.{key}": p.grad for key, p in module.named_parameters()}
    for value in found.values() if world > 1 else ():
        dist.all_reduce(value)
        value /= world
    return found


def uneven(rank: int, world: int) -> list[Any]:
    """What is gathered where the last process has nothing, and the figures from it."""
    has = rank + 1 < world
    rows = torch.arange(6).view(2, 3) if has else torch.empty(0)
    metric = LabelledPairs()
    if has:
        metric.update(torch.tensor([1.0, -1.0]), torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 1]))
    accuracy = metric.compute()["match_accuracy"]
    return [torch.cat(gather_uneven(rows)), accuracy, gather_objects(f"process {rank}")]


def everything(rank: int, world: int) -> dict[str, Any]:
    """All that is tested here, in one start of the processes, which takes most of the time."""
    return {"learned": {name: learned(rank, world, name) for name in CASES}, "uneven": uneven(rank, world)}


@pytest.fixture(scope="module", params=[2, pytest.param(4, marks=pytest.mark.slow)])
def processes(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two or four processes found."""
    return together(request.param, everything, tmp_path_factory.mktemp("processes"))


@pytest.mark.parametrize("name", CASES)
def test_processes_give_the_loss_and_gradients_of_one(name: str, processes: list[dict[str, Any]]) -> None:
    whole = learned(0, 1, name)
    for found in processes:
        assert found["learned"][name].keys() == whole.keys()
        for key, value in whole.items():
            torch.testing.assert_close(found["learned"][name][key], value, rtol=1e-4, atol=1e-5, msg=key)


def test_the_parts_are_not_equally_large() -> None:
    """Else a mean over a process's own samples would pass above."""
    assert len(part(speech(), 0, 2).ids) != len(part(speech(), 1, 2).ids)
    assert len(part(summary(), 0, 2).ids) != len(part(summary(), 1, 2).ids)


def test_a_process_without_samples_takes_part(processes: list[dict[str, Any]]) -> None:
    for rank, found in enumerate(processes):
        rows, accuracy, names = found["uneven"]
        assert rows.tolist() == [[0, 1, 2], [3, 4, 5]] * (len(processes) - 1)
        assert accuracy == 0.5
        assert names[rank] == f"process {rank}"
