"""The same command trains with two processes: every weight is used, and one run folder is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmtasks.inference.image_text import Matcher

CONFIGS = Path(__file__).parents[2] / "configs"
OPTIONS = [f"--data.init_args.{split}.init_args.number=26" for split in ("train", "val", "test")]
OPTIONS += ["--data.init_args.batch_size=4", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]
TWO = ["--trainer.accelerator=cpu", "--trainer.devices=2", "--trainer.strategy=ddp"]


@pytest.mark.slow
@pytest.mark.parametrize("config", ["scenes", "scenes_relations"])
def test_two_processes_train(config: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mmtasks.cli", "fit", "--config", str(CONFIGS / f"{config}.yaml"), *OPTIONS, *TWO]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    [checkpoint] = tmp_path.glob("runs/*/checkpoints/last.ckpt")
    assert Matcher(checkpoint).objective.num_classes == (2 if config == "scenes" else 3)
