"""The same command with two processes."""

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch.distributed as dist

from mmtasks.distributed import is_grouped
from mmtasks.inference.checkpoint import load

DDP, DDP_UNUSED = "ddp", "ddp_find_unused_parameters_true"
"""Lightning's names for DDP where each step uses every weight, and where it may not."""
RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "RANK", "LOCAL_RANK", "WORLD_SIZE")
"""Variables by which the processes of one run find each other."""
SECONDS = 600
SHOWN = 15
"""Last lines of what a failed run wrote."""


def check_two_processes(arguments: Sequence[str], run: Path, *, strategy: str = DDP) -> None:
    """``fit`` with these arguments and two processes ends well, and its checkpoint loads.

    strategy: where the arguments name none.

    Raises:
        AssertionError: it does not; the message closes with what the run said.
    """
    two = ["--trainer.devices=2", f"--trainer.strategy={strategy}"]
    command = [sys.executable, "-m", "mmtasks.cli", "fit", *two, *arguments, f"--trainer.default_root_dir={run}"]
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
    """That of this process, for another that finds the same modules, takes one core and belongs to no run yet."""
    found = os.pathsep.join(path or os.getcwd() for path in sys.path)
    kept = {name: value for name, value in os.environ.items() if name not in RENDEZVOUS}
    return {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": found}


@contextmanager
def own_process_group() -> Iterator[None]:
    """A process group that is made within, as by DDP of a single process, ends at the end; one from outside stays."""
    given = is_grouped()
    try:
        yield
    finally:
        if is_grouped() and not given:
            dist.destroy_process_group()
