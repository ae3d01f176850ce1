"""What the joint model is compared with, and how runs of the comparison go on."""

import math
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from benchmarks import joint
from benchmarks.joint import READ, WORLDS, alone
from benchmarks.training import CONFIGS
from mmtasks.config import instantiate
from mmtasks.data.base import TaskData
from mmtasks.fusion.base import Fusion
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.trained import Trained


@pytest.mark.parametrize("config", WORLDS.values())
@pytest.mark.parametrize("task", READ)
def test_each_task_of_a_joint_config_makes_a_config_of_its_own(config: str, task: str) -> None:
    single = alone(yaml.safe_load((CONFIGS / f"{config}.yaml").read_text()), task, 100)
    backbone = instantiate(single["model"]["init_args"]["backbone"])
    assert set(backbone.encoders) == set(READ[task])
    named = [part.modalities for part in backbone.fusion.modules() if isinstance(part, Fusion)]
    assert all(modalities is None or modalities for modalities in named)
    assert single["data"]["init_args"]["tasks"].keys() == single["model"]["init_args"]["objectives"].keys() == {task}
    assert single["data"]["init_args"]["steps_per_epoch"] * single["trainer"]["max_epochs"] == 100


def test_a_joint_run_goes_on_from_its_last_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config, given = yaml.safe_load((CONFIGS / "joint.yaml").read_text()), list[str]()

    def run(configs: Sequence[Path], *options: str) -> Trained:
        given[:] = options
        return Trained(TaskModule.__new__(TaskModule), TaskData(), {}, 2.0, tmp_path)

    monkeypatch.setattr(joint, "train_and_test", run)
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert joint._train(config, 3, tmp_path).minutes == 2.0
    assert f"--ckpt_path={last}" not in given
    last.parent.mkdir()
    last.touch()
    assert math.isnan(joint._train(config, 3, tmp_path).minutes)
    assert f"--ckpt_path={last}" in given


def test_what_is_not_known_of_every_run_is_left_out() -> None:
    found = joint._over_seeds([{"wer": 1.0, "minutes": 2.0}, {"wer": 3.0, "minutes": math.nan}])
    assert found == {"wer": 2.0, "wer_sd": pytest.approx(2**0.5)}
