"""Work in several processes on this machine."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmtasks.testing.processes import environment


def together(world: int, work: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """What ``work(rank, world, *arguments)`` gives in each of ``world`` processes joined by gloo, in order."""
    mp.spawn(_run, (world, work, str(folder), arguments), nprocs=world)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world)]


def _run(rank: int, world: int, work: Callable[..., Any], folder: str, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    torch.save(work(rank, world, *arguments), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def torchrun(world: int, *options: str) -> list[str]:
    """The command that runs ``mmtasks fit OPTIONS`` in several processes of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    return [*launcher, "-m", "mmtasks.cli", "fit", *options, "--trainer.accelerator=cpu", f"--trainer.devices={world}"]


def fit(folder: Path, world: int, *options: str) -> Path:
    """Train in several processes, or in one; returns the only run folder there is."""
    alone = [sys.executable, "-m", "mmtasks.cli", "fit", *options, "--trainer.accelerator=cpu"]
    folder.mkdir(exist_ok=True)
    command = alone if world == 1 else torchrun(world, *options)
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    [run] = (folder / "runs").iterdir()
    return run
