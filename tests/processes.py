"""Work in several processes on this machine.

They are forked from a server that has imported everything, which takes longer than most of what they do.
"""

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from lightning.pytorch.utilities import rank_zero_only

from mmtasks import cli
from mmtasks.testing.processes import environment

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["mmtasks.tasks.launch"])
SECONDS = 600
Result = subprocess.CompletedProcess[str]


def together(world: int, work: Callable[..., Any], folder: Path, *arguments: Any) -> list[Any]:
    """What ``work(rank, world, *arguments)`` gives in each of ``world`` processes joined by gloo, in order."""
    mp.start_processes(_work, (world, work, str(folder), arguments), nprocs=world, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(world)]


def _work(rank: int, world: int, work: Callable[..., Any], folder: str, arguments: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=world)
    torch.save(work(rank, world, *arguments), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def torchrun(world: int, *options: str) -> list[str]:
    """The command that runs ``mmtasks fit OPTIONS`` in several processes of this machine."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={world}"]
    return [*launcher, "-m", "mmtasks.cli", "fit", *options, "--trainer.accelerator=cpu", f"--trainer.devices={world}"]


def fit(folder: Path, world: int, *options: str) -> Path:
    """Train in several processes, started as torchrun starts them, or in one; returns the only run folder there is."""
    folder.mkdir(exist_ok=True)
    arguments = ["fit", *options, "--trainer.accelerator=cpu", f"--trainer.devices={world}"]
    results = _ended([_start(arguments, folder, job) for job in _jobs(world)])
    assert not any(result.returncode for result in results), "\n".join(result.stderr for result in results)
    [run] = (folder / "runs").iterdir()
    return run


def mmtasks(arguments: list[str], folder: Path, variables: Mapping[str, str]) -> Result:
    """The command in a process and a session of its own, where the callbacks of tests/killed.py can be imported."""
    [result] = _ended([_start(arguments, folder, variables)])
    return result


Started = tuple[BaseProcess, Path, Path]


def _start(arguments: list[str], folder: Path, variables: Mapping[str, str]) -> Started:
    """A process, and the files of what it says and of its errors."""
    number = len(list(folder.glob("*.said")))
    said, errors = folder / f"{number}.said", folder / f"{number}.errors"
    said.touch()
    process = SERVER.Process(target=_run, args=(arguments, folder, {**environment(), **variables}, said, errors))
    process.start()
    return process, said, errors


def _run(arguments: list[str], folder: Path, variables: Mapping[str, str], said: Path, errors: Path) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    for stream, path in ((1, said), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    torch.set_num_threads(1)
    rank_zero_only.rank = int(variables.get("RANK", 0))
    sys.argv = ["mmtasks", *arguments]
    sys.exit(cli.main())


def _ended(started: list[Started]) -> list[Result]:
    """What became of the processes; when one fails the others are ended."""
    processes, limit = [process for process, _, _ in started], time.monotonic() + SECONDS
    while any(process.is_alive() for process in processes):
        if time.monotonic() > limit or any(process.exitcode for process in processes):
            for process in processes:
                process.kill()
        processes[0].join(0.1)
    return [
        subprocess.CompletedProcess(["mmtasks"], process.exitcode or 0, said.read_text(), errors.read_text())
        for process, said, errors in started
    ]


def _jobs(world: int) -> list[dict[str, str]]:
    """The variables of each process of a run; none for a run of one."""
    if world == 1:
        return [{}]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test", "GROUP_RANK": "0"}
    sizes = {"WORLD_SIZE": str(world), "LOCAL_WORLD_SIZE": str(world)}
    return [{**meeting, **sizes, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(world)]
