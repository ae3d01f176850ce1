"""Training ends with the weights of its best validation, and so does its checkpoint."""

from pathlib import Path

import pytest
import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from mmtasks.tasks.best_weights import BestWeights
from mmtasks.tasks.checkpoint_every import CheckpointEvery
from mmtasks.tasks.exact_resume import ExactResume
from mmtasks.tasks.whole_checkpoints import WholeCheckpoints
from tests.killed import Killed, RaiseAt
from tests.tasks.test_resume import BATCHES, SmallData, _same, _task

FIGURES = (3.0, 1.0, 2.0)


class Judge(Callback):
    """Gives each epoch's validation a figure, and keeps the weights that it was of."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Tensor]] = []

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.log("val/figure", FIGURES[trainer.current_epoch])
        self.seen.append({name: weight.detach().clone() for name, weight in pl_module.named_parameters()})


def _train(folder: Path, *callbacks: Callback, resume: Path | None = None, steps: int = -1) -> dict[str, Tensor]:
    """The trained weights after as many epochs as there are figures, or so many steps."""
    last = ModelCheckpoint(folder, "end", save_on_train_epoch_end=True, enable_version_counter=False)
    trainer = Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        max_epochs=len(FIGURES),
        max_steps=steps,
        callbacks=[ExactResume(), CheckpointEvery(1), last, *callbacks],
        plugins=[WholeCheckpoints()],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    task = _task("pairs")
    trainer.fit(task, SmallData(), ckpt_path=resume)
    return {name: weight.detach().clone() for name, weight in task.named_parameters()}


@pytest.mark.parametrize(("mode", "best"), [("min", 1), ("max", 0)])
def test_weights_and_checkpoint_are_those_of_the_best_validation(tmp_path: Path, mode: str, best: int) -> None:
    judge = Judge()
    found = _train(tmp_path, judge, BestWeights("val/figure", mode=mode))
    assert _same(found, judge.seen[best]) and not _same(found, judge.seen[2])
    saved = torch.load(tmp_path / "end.ckpt", weights_only=True)["state_dict"]
    assert _same(found, {name: saved[name] for name in found})


def test_steps_may_end_the_run_within_an_epoch(tmp_path: Path) -> None:
    judge = Judge()
    found = _train(tmp_path, judge, BestWeights("val/figure"), steps=2 * BATCHES + 1)
    assert _same(found, judge.seen[1])
    saved = torch.load(tmp_path / "end.ckpt", weights_only=True)["state_dict"]
    assert _same(found, {name: saved[name] for name in found})


def test_a_resumed_run_knows_the_best_weights_of_before(tmp_path: Path) -> None:
    expected = _train(tmp_path / "whole", Judge(), BestWeights("val/figure"))
    with pytest.raises(Killed):
        _train(tmp_path / "parts", Judge(), BestWeights("val/figure"), RaiseAt(2 * BATCHES + 2))
    last = tmp_path / "parts" / "checkpoints" / "last.ckpt"
    assert _same(expected, _train(tmp_path / "resumed", Judge(), BestWeights("val/figure"), resume=last))


def test_a_bad_mode_is_named() -> None:
    with pytest.raises(ValueError, match="mode 'least'"):
        BestWeights("val/figure", mode="least")
