"""A SLURM job that comes near its limit saves its state, has itself queued again, and goes on."""

from pathlib import Path

import pytest
import torch

from mmtasks.tasks import slurm
from tests.tasks.test_stop import OPTIONS, checkpoints, run

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
