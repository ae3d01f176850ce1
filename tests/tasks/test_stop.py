"""Ctrl-C loses nothing: a checkpoint is left, the message says how to go on, and going on ends where it would have."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

CONFIG = Path(__file__).parents[2] / "configs" / "scenes.yaml"
TINY = {
    "data.init_args.train.init_args.number": 64,
    "data.init_args.val.init_args.number": 8,
    "data.init_args.batch_size": 8,
    "trainer.max_epochs": 12,
    "trainer.enable_progress_bar": "false",
}
COMMAND = [sys.executable, "-m", "mmtasks.cli", "fit"]


def _run(folder: Path, *options: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*COMMAND, *options], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    [checkpoint] = folder.glob("runs/*/checkpoints/last.ckpt")
    return torch.load(checkpoint, weights_only=True)["state_dict"]


def _wait_for_training(process: subprocess.Popen[str], folder: Path) -> None:
    for _ in range(600):
        if list(folder.glob("runs/*/checkpoints/last.ckpt")):
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.1)
    pytest.fail("no checkpoint after a minute")


@pytest.mark.slow
def test_stopped_and_resumed_equals_not_stopped(tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    whole.mkdir()
    stopped.mkdir()
    options = ["--config", str(CONFIG), *(f"--{name}={value}" for name, value in TINY.items())]
    uninterrupted = _run(whole, *options)
    assert uninterrupted.wait(300) == 0

    process = _run(stopped, *options)
    _wait_for_training(process, stopped)
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 130, error
    line = next(line for line in error.splitlines() if "go on with:" in line)
    arguments = line.partition("go on with: mmtasks fit ")[2].split()
    for checkpoint in stopped.glob("runs/*/checkpoints/last.ckpt"):
        checkpoint.unlink()
    resumed = _run(stopped, *arguments)
    assert resumed.wait(300) == 0, resumed.communicate()[1]
    expected, found = _weights(whole), _weights(stopped)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=0, msg=name)
