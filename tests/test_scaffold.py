"""A new task keeps the contract as it is written."""

import subprocess
import sys
from pathlib import Path

import pytest

from mmtasks.cli import main
from mmtasks.testing import check_task
from mmtasks.testing.processes import environment

FILES = {"__init__.py", "encoder.py", "objective.py", "data.py", "test_heart_rate.py", "heart_rate.yaml"}


def test_a_new_task_keeps_the_contract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["new", "task", "heart_rate", "--output", str(tmp_path)]) == 0
    assert {path.name for path in (tmp_path / "heart_rate").iterdir()} == FILES
    monkeypatch.syspath_prepend(tmp_path)
    check_task(tmp_path / "heart_rate" / "heart_rate.yaml", two_processes=False)


def test_a_new_task_learns_from_the_folder_that_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert main(["new", "task", "tremor"]) == 0
    command = ["mmtasks", "fit", "--config", "tremor/tremor.yaml", "--trainer.enable_progress_bar=false"]
    monkeypatch.setattr(sys, "argv", command)
    assert main() == 0
    [run] = tmp_path.glob("runs/tremor-*")
    header, *rows = (run / "metrics.csv").read_text().splitlines()
    last = dict(zip(header.split(","), rows[-1].split(","), strict=True))
    assert float(last["val/accuracy"]) > 0.9


@pytest.mark.slow
def test_the_test_of_a_new_task_passes(tmp_path: Path) -> None:
    main(["new", "task", "heart_rate", "--output", str(tmp_path)])
    command = [sys.executable, "-m", "pytest", "-q", "heart_rate"]
    done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("heart-rate", "'heart-rate' cannot be the name of a package"),
        ("Heart", "take small letters"),
        ("class", "'class' cannot be the name of a package"),
        ("keys", "'keys' is a name that torch's modules use"),
        ("train", "'train' is a name that torch's modules use"),
        ("torch", "'torch' is the name of an installed module"),
        ("taken", "taken: is there already"),
    ],
)
def test_a_name_that_cannot_be_is_one_line(
    name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").mkdir()
    assert main(["new", "task", name, "--output", str(tmp_path)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_folder_of_that_name_elsewhere_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "footsteps").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    assert main(["new", "task", "footsteps", "--output", "sub"]) == 0
    assert (tmp_path / "sub" / "footsteps" / "encoder.py").is_file()
