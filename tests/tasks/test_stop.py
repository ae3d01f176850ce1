"""The real command, stopped in every way, loses nothing: it says how to go on, and ends where it would have."""

from pathlib import Path

import pytest
import torch

from tests.processes import Result, mmtasks

REPO = Path(__file__).parents[2]
OVERLAY = REPO / "configs" / "overlays" / "checkpoint_often.yaml"
TINY = {
    "data.init_args.train.init_args.number": 40,
    "data.init_args.val.init_args.number": 8,
    "data.init_args.batch_size": 8,
    "trainer.max_epochs": 2,
    "trainer.enable_progress_bar": "false",
}
OPTIONS = [f"--config={REPO / 'configs' / 'scenes.yaml'}", *(f"--{name}={value}" for name, value in TINY.items())]
OFTEN = [f"--config={OVERLAY}", "--trainer.callbacks.init_args.steps=3"]


def run(folder: Path, *options: str, **environment: str) -> Result:
    """``mmtasks fit`` there."""
    folder.mkdir(exist_ok=True)
    return mmtasks(["fit", *options], folder, environment)


def checkpoints(folder: Path, run: int = 0) -> Path:
    """Those of the first, or a later, run."""
    return sorted(folder.glob("runs/*/checkpoints"))[run]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """At the end of the last run."""
    state: dict[str, torch.Tensor] = torch.load(checkpoints(folder, -1) / "last.ckpt", weights_only=True)["state_dict"]
    return state


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    folder = tmp_path_factory.mktemp("whole")
    result = run(folder, *OPTIONS)
    assert result.returncode == 0, result.stderr
    return weights(folder)


def go_on(folder: Path) -> None:
    """By the newest checkpoint of the stopped run."""
    result = run(folder, f"--config={checkpoints(folder).parent / 'config.yaml'}", "--ckpt_path=last")
    assert result.returncode == 0, result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(("number", "step"), [("SIGINT", 2), ("SIGTERM", 4)])
def test_a_signal_stops_between_steps(
    number: str, step: int, tmp_path: Path, expected: dict[str, torch.Tensor]
) -> None:
    """Step 4 is the last before validation: training stops one step later."""
    killer = ["--trainer.callbacks+=tests.killed.SignalAt", f"--trainer.callbacks.step={step}"]
    result = run(tmp_path, *OPTIONS, *killer, f"--trainer.callbacks.number={number}")
    assert result.returncode == 130, result.stderr
    [line] = [line for line in result.stderr.splitlines() if "go on with: mmtasks fit" in line]
    assert f"stopped at step {step + (2 if step == 4 else 1)}" in line
    result = run(tmp_path, *line.partition("mmtasks fit ")[2].split())
    assert result.returncode == 0, result.stderr
    assert same(weights(tmp_path), expected)


@pytest.mark.slow
def test_ctrl_c_reaches_the_workers_too(tmp_path: Path, expected: dict[str, torch.Tensor]) -> None:
    """A terminal sends it to all of them. What workers prepare is what the main process prepares without them."""
    killer = ["--trainer.callbacks+=tests.killed.SignalAt", "--trainer.callbacks.step=6"]
    killer += ["--trainer.callbacks.number=SIGINT", "--trainer.callbacks.group=true", "--data.init_args.num_workers=2"]
    result = run(tmp_path, *OPTIONS, *killer)
    assert result.returncode == 130, result.stderr
    assert "stopped at step 7" in result.stderr
    go_on(tmp_path)
    assert same(weights(tmp_path), expected)


@pytest.mark.slow
@pytest.mark.parametrize("step", [4, 5, 7])
def test_a_kill_loses_a_few_steps(step: int, tmp_path: Path, expected: dict[str, torch.Tensor]) -> None:
    killer = ["--trainer.callbacks+=tests.killed.SignalAt", f"--trainer.callbacks.step={step}"]
    assert run(tmp_path, *OPTIONS, *OFTEN, *killer).returncode == -9
    go_on(tmp_path)
    assert same(weights(tmp_path), expected)


@pytest.mark.slow
def test_a_kill_while_the_checkpoint_is_written(tmp_path: Path, expected: dict[str, torch.Tensor]) -> None:
    killer = ["--trainer.callbacks+=tests.killed.FailWrites", "--trainer.callbacks.step=5"]
    assert run(tmp_path, *OPTIONS, *OFTEN, *killer).returncode == -9
    left = {path.name for path in checkpoints(tmp_path).iterdir()}
    assert left == {"last.ckpt", "last.ckpt.part"}
    assert torch.load(checkpoints(tmp_path) / "last.ckpt", weights_only=True)["global_step"] == 5
    go_on(tmp_path)
    assert {path.name for path in checkpoints(tmp_path).iterdir()} == {"last.ckpt"}
    assert same(weights(tmp_path), expected)


@pytest.mark.slow
def test_a_full_disk_does_not_end_training_but_is_no_success(tmp_path: Path, expected: dict[str, torch.Tensor]) -> None:
    full = ["--trainer.callbacks+=tests.killed.FailWrites", "--trainer.callbacks.step=5"]
    result = run(tmp_path, *OPTIONS, *OFTEN, *full, "--trainer.callbacks.kill=false")
    assert result.returncode == 2
    error = result.stderr.splitlines()[-1]
    assert error.startswith("mmtasks: error: ")
    assert "last.ckpt: not written (No space left on device); make room" in error
    assert "Traceback" not in result.stderr
    go_on(tmp_path)
    assert same(weights(tmp_path), expected)
