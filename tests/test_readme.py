"""What the README says of figures is what was measured, by commands that still run."""

import importlib
import json
from pathlib import Path

import pytest

from benchmarks import readme
from benchmarks.result import RESULTS, write_result

FILES = sorted(RESULTS.glob("*.json"))
HELPERS = {"gpu", "result", "training", "tvsum_folds"}
BENCHMARKS = sorted(path.stem for path in RESULTS.parent.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_benchmark_can_still_be_started(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMTASKS_DATA", "somewhere")
    module = importlib.import_module(f"benchmarks.{name}")
    assert module.__doc__ and (name in HELPERS or callable(module.main))


def test_the_tables_are_up_to_date() -> None:
    text = readme.README.read_text()
    shown = text.split(readme.START)[1].split(readme.END)[0]
    assert shown == readme.tables(), "run python -m benchmarks.readme"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_results_say_where_they_come_from(path: Path) -> None:
    result = json.loads(path.read_text())
    assert set(result) >= {"name", "command", "date", "machine", "versions", "seed", "metrics"}
    assert result["name"] == path.stem
    module = result["command"].removeprefix("python -m benchmarks.").split()[0]
    assert (RESULTS.parent / f"{module}.py").is_file()
    assert all(isinstance(value, float | int) for value in result["metrics"].values())


def test_a_result_says_with_which_options_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.result.RESULTS", tmp_path)
    monkeypatch.setattr("sys.argv", ["joint.py", "--seeds", "0", "1"])
    path = write_result("joint", {"wer": 27.6}, seed=0)
    assert json.loads(path.read_text())["command"] == "python -m benchmarks.joint --seeds 0 1"


def test_figures_that_a_run_leaves_out_stay_with_their_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.result.RESULTS", tmp_path)
    for models, metrics in (("a", {"a": 1.0, "b": 2.0}), ("b", {"b": 3.0}), ("c", {"c": 4.0})):
        monkeypatch.setattr("sys.argv", ["joint.py", "--models", models])
        notes = {f"seeds_{models}": "0"}
        result = json.loads(write_result("joint", metrics, seed=0, notes=notes, others_stay=True).read_text())
    assert {"seeds_a", "seeds_b", "seeds_c"} < result.keys()
    assert result["metrics"] == {"a": 1.0, "b": 3.0, "c": 4.0}
    commands = {name: run["command"] for name, run in result["earlier"].items()}
    assert commands == {name: f"python -m benchmarks.joint --models {name}" for name in "ab"}
    result = json.loads(write_result("joint", {"d": 5.0}, seed=0, others_stay=True, replaces="a").read_text())
    assert result["metrics"] == {"b": 3.0, "c": 4.0, "d": 5.0}
    assert json.loads(write_result("joint", {"b": 5.0}, seed=0).read_text())["metrics"] == {"b": 5.0}
