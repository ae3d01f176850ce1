"""Several processes and steps that leave out weights: said before anything is started."""

from pathlib import Path
from typing import Any

import pytest
from lightning import Trainer
from lightning.pytorch.strategies import DDPStrategy, ModelParallelStrategy

from mmtasks.cli import main
from mmtasks.data.joint import JointDataModule
from mmtasks.data.sampling import EveryTask, OneTask, Sampling
from mmtasks.errors import UserError
from mmtasks.tasks.agreement import OVERLAY, check_unused
from tests.data.test_joint import Words

ROOT = Path(__file__).parents[2]


def data(sampling: Sampling, *tasks: str) -> JointDataModule:
    return JointDataModule({name: Words("text", ["red"]) for name in tasks}, sampling=sampling)


def trainer(strategy: Any, devices: int = 2) -> Trainer:
    return Trainer(accelerator="cpu", devices=devices, strategy=strategy, logger=False, enable_checkpointing=False)


@pytest.mark.parametrize("strategy", ["auto", "ddp", DDPStrategy(broadcast_buffers=False)])
def test_ddp_that_waits_for_every_weight_is_refused(strategy: Any) -> None:
    with pytest.raises(UserError, match=f"2 processes.*--config {OVERLAY}"):
        check_unused(trainer(strategy), data(OneTask(), "a", "b"))


def test_what_can_train_is_let_through() -> None:
    check_unused(trainer("ddp"), data(EveryTask(), "a", "b"))
    check_unused(trainer("ddp"), data(OneTask(), "a"))
    check_unused(trainer("ddp"), Words("text", ["red"]))
    check_unused(trainer("ddp", devices=1), data(OneTask(), "a", "b"))
    check_unused(trainer(DDPStrategy(find_unused_parameters=True)), data(OneTask(), "a", "b"))
    check_unused(trainer(ModelParallelStrategy()), data(OneTask(), "a", "b"))


def test_the_command_says_which_overlay_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ["--trainer.accelerator=cpu", "--trainer.devices=2"]
    assert main(["fit", "--config", str(ROOT / "configs" / "joint.yaml"), *options]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mmtasks: error:")]
    assert line.endswith(f"add --config {OVERLAY}")
    assert (ROOT / OVERLAY).is_file()
