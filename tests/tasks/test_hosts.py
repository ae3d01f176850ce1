"""Processes on two machines, and one that is killed."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmtasks.testing.processes import environment
from tests.processes import fit, torchrun
from tests.tasks.test_two_processes import options

PORT = 29_555
NAMES = ("mmt-a", "mmt-b")
ADDRESSES = ("10.213.0.1", "10.213.0.2")


def _ip(*arguments: str) -> int:
    try:
        return subprocess.run(["ip", *arguments], capture_output=True).returncode
    except FileNotFoundError:
        return 1


@pytest.fixture
def hosts() -> Iterator[tuple[str, ...]]:
    """Two network namespaces joined by a cable, with nothing else."""
    names = tuple(f"{name}-{os.getpid()}" for name in NAMES)
    if any(_ip("netns", "add", name) for name in names):
        for name in names:
            _ip("netns", "delete", name)
        pytest.skip("network namespaces need root and iproute2")
    try:
        cable = ("-n", names[0], "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", names[1])
        assert _ip(*cable) == 0
        for name, address in zip(names, ADDRESSES, strict=True):
            assert _ip("-n", name, "address", "add", f"{address}/24", "dev", "cable") == 0
            assert _ip("-n", name, "link", "set", "cable", "up") == _ip("-n", name, "link", "set", "lo", "up") == 0
        yield names
    finally:
        for name in names:
            _ip("netns", "delete", name)


@pytest.mark.slow
def test_two_hosts_meet_and_agree_on_the_run_folder(hosts: tuple[str, ...], tmp_path: Path) -> None:
    folders = [tmp_path / name for name in NAMES]
    processes = [_host(rank, hosts[rank], folder) for rank, folder in enumerate(folders)]
    messages = [process.communicate(timeout=600)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], "\n".join(messages)
    assert len(list(folders[0].glob("runs/*/checkpoints/last.ckpt"))) == 1
    assert not list(folders[1].glob("runs/*"))


def _host(rank: int, name: str, folder: Path) -> subprocess.Popen[str]:
    """torchrun in a namespace, which has its own working folder: machines need not share a disk."""
    folder.mkdir()
    meeting = ["--rdzv-backend=c10d", f"--rdzv-endpoint={ADDRESSES[0]}:{PORT}", f"--rdzv-conf=is_host={1 - rank}"]
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--nproc-per-node=1", *meeting]
    command += [f"--local-addr={ADDRESSES[rank]}", "-m", "mmtasks.cli", "fit", *options("scenes", "ddp", world=2)]
    command += ["--trainer.accelerator=cpu", "--trainer.devices=1", "--trainer.num_nodes=2"]
    return subprocess.Popen(
        ["ip", "netns", "exec", name, *command],
        cwd=folder,
        env={**environment(), "GLOO_SOCKET_IFNAME": "cable"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_a_killed_process_ends_the_others_and_the_run_goes_on(tmp_path: Path) -> None:
    long = [*options("scenes", "ddp", world=2), "--trainer.max_epochs=1000"]
    errors = tmp_path / "errors"
    with errors.open("w") as file:
        process = subprocess.Popen(torchrun(2, *long), cwd=tmp_path, env=environment(), stderr=file, text=True)
    checkpoint = _first_checkpoint(process, tmp_path, errors)
    os.kill(_worker(process.pid), signal.SIGKILL)
    killed = time.monotonic()
    assert process.wait(timeout=60) != 0
    assert time.monotonic() - killed < 60
    assert re.search(r"Signal 9 \(SIGKILL\)", errors.read_text())

    done = torch.load(checkpoint, weights_only=True)["global_step"]
    more = options("scenes", "ddp", world=2)
    run = fit(
        tmp_path / "again",
        2,
        *more,
        f"--trainer.max_steps={done + 2}",
        "--trainer.max_epochs=1000",
        f"--ckpt_path={checkpoint}",
    )
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == done + 2


def _first_checkpoint(process: subprocess.Popen[str], folder: Path, errors: Path) -> Path:
    for _ in range(3000):
        found = list(folder.glob("runs/*/checkpoints/last.ckpt"))
        if found:
            return found[0]
        assert process.poll() is None, errors.read_text()
        time.sleep(0.1)
    pytest.fail("no checkpoint after five minutes")


def _worker(parent: int) -> int:
    """The second process that torchrun started."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    ranks = {}
    for child in map(int, children):
        entries = Path(f"/proc/{child}/environ").read_bytes().decode().split("\0")
        ranks |= {entry: child for entry in entries if entry.startswith("RANK=")}
    return ranks["RANK=1"]
