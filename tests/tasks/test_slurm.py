"""A SLURM job that comes near its limit saves its state, has itself queued again, and goes on."""

import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmtasks.tasks import slurm
from mmtasks.testing.processes import environment
from tests.tasks.test_stop import OPTIONS, REPO, checkpoints, run
from tests.test_configs import tiny

SCRIPT = REPO / "docs" / "slurm.sh"
SRUN = """#!/bin/bash
[ "$1" = --cpus-per-task=1 ] && shift || exit 9
SLURM_PROCID=1 SLURM_LOCALID=1 "$@" & other=$!
SLURM_PROCID=0 SLURM_LOCALID=0 "$@" && wait $other
"""
"""Two processes."""
JOB = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_NODEID": "0"}


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a ``scontrol`` that does nothing else was called with."""
    command, log = tmp_path / "bin" / "scontrol", tmp_path / "called"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\necho "$@" >> {log}\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")
    return log


def test_a_job_is_queued_again_under_its_number(called: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    slurm.requeue()
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "4700")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "11")
    slurm.requeue()
    assert called.read_text().splitlines() == ["requeue 4711", "requeue 4700_11"]


def test_a_refusal_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "4711")
    monkeypatch.setenv("PATH", "/nowhere")
    slurm.requeue()
    assert capsys.readouterr().err.startswith("job 4711 is not queued again: ")


@pytest.mark.slow
def test_the_signal_before_the_limit_saves_and_requeues(called: Path, tmp_path: Path) -> None:
    killer = ["--trainer.callbacks+=tests.killed.SignalAt", "--trainer.callbacks.step=2"]
    result = run(tmp_path, *OPTIONS, *killer, "--trainer.callbacks.number=SIGUSR1", **JOB)
    assert result.returncode == 130, result.stderr
    assert called.read_text() == "requeue 4711\n"
    state = torch.load(checkpoints(tmp_path) / "interrupted.ckpt", weights_only=True)
    assert state["global_step"] == 3
    assert not list(tmp_path.rglob("hpc_ckpt*"))


@pytest.mark.slow
def test_sigterm_in_a_job_saves_and_leaves_the_queue_alone(called: Path, tmp_path: Path) -> None:
    killer = ["--trainer.callbacks+=tests.killed.SignalAt", "--trainer.callbacks.step=2"]
    result = run(tmp_path, *OPTIONS, *killer, "--trainer.callbacks.number=SIGTERM", **JOB)
    assert result.returncode == 130, result.stderr
    assert not called.exists()
    assert (checkpoints(tmp_path) / "interrupted.ckpt").exists()


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """A job of two processes, started where ``configs`` lies; its path has ``srun`` and ``mmtasks``."""
    (tmp_path / "bin").mkdir()
    command = f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m mmtasks.cli "$@"\n'
    for name, content in {"srun": SRUN, "mmtasks": command}.items():
        (tmp_path / "bin" / name).write_text(content)
        (tmp_path / "bin" / name).chmod(0o755)
    (tmp_path / "configs").symlink_to(REPO / "configs")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    job = {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2", "SLURM_JOB_NUM_NODES": "1"}
    job |= {"SLURM_CPUS_PER_TASK": "1", "SLURM_STEP_NUM_TASKS": "2"}
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**environment(), **job, "SLURM_NODEID": "0", "MASTER_PORT": port, "PATH": path}


@pytest.mark.slow
def test_the_script_trains_its_own_example_and_goes_on(cluster: dict[str, str], tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    [example] = [line for line in SCRIPT.read_text().splitlines() if line.startswith("# sbatch docs/slurm.sh ")]
    arguments = example.removeprefix("# sbatch docs/slurm.sh ").split()
    small = [*tiny(REPO / arguments[0]), "--trainer.accelerator=cpu", "--trainer.limit_train_batches=2"]
    steps = []
    for start in (0, 1):
        command = ["bash", str(SCRIPT), *arguments, *small, f"--trainer.max_epochs={start + 1}"]
        variables = {**cluster, "SLURM_RESTART_COUNT": str(start)}
        done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        [checkpoint] = tmp_path.glob(f"runs/slurm-4711/{start}/checkpoints/last.ckpt")
        steps.append(torch.load(checkpoint, weights_only=True)["global_step"])
    assert steps == [2, 4]


def test_the_log_of_the_script_lies_where_it_is_submitted() -> None:
    [output] = [line.split()[1] for line in SCRIPT.read_text().splitlines() if line.startswith("#SBATCH --output")]
    assert "/" not in output
