"""The same command with two processes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmtasks.inference.checkpoint import load

TWO = ("--trainer.devices=2", "--trainer.strategy=ddp")
SECONDS = 600
SHOWN = 15
"""Last lines of what a failed run wrote."""


def check_two_processes(arguments: Sequence[str], run: Path) -> None:
    """``fit`` with these arguments and two processes ends well, and its checkpoint loads.

    Raises:
        AssertionError: it does not; the message closes with what the run said.
    """
    command = [sys.executable, "-m", "mmtasks.cli", "fit", *TWO, *arguments, f"--trainer.default_root_dir={run}"]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise AssertionError(f"two processes have not ended after {SECONDS} s: one waits for the other") from None
    if done.returncode:
        said = "\n".join((done.stdout + done.stderr).splitlines()[-SHOWN:])
        raise AssertionError(f"two processes do not train ({' '.join(command)}):\n{said}")
    model = load(run / "checkpoints" / "last.ckpt")
    for name, weight in model.backbone.named_parameters():
        if not weight.isfinite().all():
            raise AssertionError(f"after training with two processes the weight {name} is not finite")


def environment() -> dict[str, str]:
    """That of this process, for another that finds the same modules and takes one core."""
    found = os.pathsep.join(path or os.getcwd() for path in sys.path)
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": found}
