"""The single models that a joint one is compared with."""

import pytest
import yaml

from benchmarks.joint import READ, WORLDS, alone
from benchmarks.training import CONFIGS
from mmtasks.config import instantiate


@pytest.mark.parametrize("config", WORLDS.values())
@pytest.mark.parametrize("task", READ)
def test_each_task_of_a_joint_config_makes_a_config_of_its_own(config: str, task: str) -> None:
    joint = yaml.safe_load((CONFIGS / f"{config}.yaml").read_text())
    single = alone(joint, task, 100)
    backbone = instantiate(single["model"]["init_args"]["backbone"])
    assert set(backbone.encoders) == set(READ[task])
    assert single["data"]["init_args"]["tasks"].keys() == single["model"]["init_args"]["objectives"].keys() == {task}
    assert single["data"]["init_args"]["steps_per_epoch"] * single["trainer"]["max_epochs"] == 100
