"""What benchmarks repeat with another seed differs in all that is drawn: weights, order of the data, tasks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks import joint, training

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


def test_a_single_config_draws_all_by_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train_and_test", lambda configs, *options: options)
    assert training.train("scenes", seed=3) == ("--seed_everything=3", "--data.init_args.seed=3")
