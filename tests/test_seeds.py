"""What benchmarks repeat with another seed differs in all that is drawn: weights, order of the data, tasks."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import joint, training
from mmtasks.data.base import TaskData
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.trained import Trained

CONFIG = yaml.safe_load((training.CONFIGS / "joint.yaml").read_text())


@pytest.mark.parametrize("config", [CONFIG, joint.alone(CONFIG, "summary", 100)], ids=["joint", "alone"])
def test_joint_and_single_runs_draw_all_by_the_seed(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found: dict[str, Any] = {}

    def read(configs: Sequence[Path], *options: str) -> None:
        found.update(yaml.safe_load(configs[0].read_text())["data"]["init_args"], options=options)

    monkeypatch.setattr(joint, "train_and_test", read)
    joint._train(config, 3, tmp_path)
    assert found["seed"] == 3 and found["options"] == ("--seed_everything=3", f"--trainer.default_root_dir={tmp_path}")
    assert {task["init_args"]["seed"] for task in found["tasks"].values()} == {3}
    assert "seed" not in config["data"]["init_args"]


def test_a_joint_run_goes_on_from_its_last_checkpoint(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: list[str] = []

    def run(configs: Sequence[Path], *options: str) -> Trained:
        given[:] = options
        return Trained(TaskModule.__new__(TaskModule), TaskData(), {}, 2.0, tmp_path)

    monkeypatch.setattr(joint, "train_and_test", run)
    last = tmp_path / "checkpoints" / "last.ckpt"
    assert joint._train(CONFIG, 3, tmp_path).minutes == 2.0
    assert f"--ckpt_path={last}" not in given
    last.parent.mkdir()
    last.touch()
    assert math.isnan(joint._train(CONFIG, 3, tmp_path).minutes)
    assert f"--ckpt_path={last}" in given


def test_what_is_not_known_of_every_run_is_left_out() -> None:
    found = joint._over_seeds([{"wer": 1.0, "minutes": 2.0}, {"wer": 3.0, "minutes": math.nan}])
    assert found == {"wer": 2.0, "wer_sd": pytest.approx(2**0.5)}


def test_a_single_config_draws_all_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train_and_test", lambda configs, *options: options)
    assert training.train("scenes", seed=3) == ("--seed_everything=3", "--data.init_args.seed=3")
