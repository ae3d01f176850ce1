"""Training by videos that nobody judged: what can be monitored, and what cannot is told."""

from pathlib import Path

import h5py
import pytest
import torch

from mmtasks.cli import main
from tests.small_video import write_h5, write_splits
from tests.tasks.test_crossval import CONFIG


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path, splits = write_h5(tmp_path / "a.h5", 6), write_splits(tmp_path / "splits.json", 6)
    with h5py.File(path, "a") as videos:
        for video in videos.values():
            for key in ("gtscore", "user_scores", "user_summary"):
                del video[key]
    file = tmp_path / "small.yaml"
    file.write_text(CONFIG.format(path=path, splits=splits))
    return file


def fit(config: Path, loss: str) -> int:
    weights = f"--model.init_args.objective.init_args.weights={{{loss}: 1.0}}"
    return main(["fit", f"--config={config}", weights, "--trainer.default_root_dir=run"])


def test_the_loss_of_validation_can_be_monitored(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().replace("monitor: val/tau, mode: max", "monitor: val/unsupervised, mode: min"))
    assert fit(config, "unsupervised") == 0
    checkpoints = tmp_path / "run" / "checkpoints"
    last = torch.load(checkpoints / "last.ckpt", weights_only=True)
    [best] = [state["best_model_score"] for name, state in last["callbacks"].items() if "val/unsupervised" in name]
    assert 0 < best < 3
    assert (checkpoints / "best.ckpt").exists()


@pytest.mark.parametrize(
    ("loss", "there"), [("unsupervised", "it gives val/unsupervised"), ("regression", "it gives no figure")]
)
def test_a_monitor_of_a_figure_that_is_not_there_is_one_line(
    config: Path, capsys: pytest.CaptureFixture[str], loss: str, there: str
) -> None:
    assert fit(config, loss) == 2
    [error] = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert f"ModelCheckpoint monitors 'val/tau', which validation does not give; {there}" in error
