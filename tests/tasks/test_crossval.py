"""Cross-validation: every fold once, going on where it stopped, figures of one config only."""

import json
from pathlib import Path

import pytest
import torch

from mmtasks.cli import main
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import load
from mmtasks.tasks.crossval import crossval, over_seeds, table
from mmtasks.types import Batch, Modality
from tests.small_video import write_h5, write_splits

CONFIG = """
model:
  class_path: mmtasks.tasks.summary.VideoSummarization
  init_args:
    backbone:
      class_path: mmtasks.backbone.Backbone
      init_args:
        dim: 8
        encoders:
          video: {{class_path: mmtasks.encoders.video.VideoEncoder, init_args: {{dim: 8}}}}
    objective: {{class_path: mmtasks.objectives.summary.SummaryScoring}}
    optimization: {{class_path: mmtasks.optim.AdamWCosine, init_args: {{lr: 0.01}}}}
data:
  class_path: mmtasks.data.summary.SummaryDataModule
  init_args:
    train: &fold
      class_path: mmtasks.data.summary_h5.SummaryH5
      init_args: &options {{path: {path}, part: train, splits: {splits}}}
    val: {{<<: *fold, init_args: {{<<: *options, part: val}}}}
    test: {{<<: *fold, init_args: {{<<: *options, part: test}}}}
trainer:
  max_epochs: 2
  enable_progress_bar: false
  callbacks+:
    - class_path: lightning.pytorch.callbacks.ModelCheckpoint
      init_args: {{filename: best, monitor: val/tau, mode: max, save_weights_only: true, enable_version_counter: false}}
"""


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path, splits = write_h5(tmp_path / "a.h5", 6), write_splits(tmp_path / "splits.json", 6)
    file = tmp_path / "small.yaml"
    file.write_text(CONFIG.format(path=path, splits=splits))
    return file


def test_all_folds_are_tested_once_and_a_second_call_repeats_nothing(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, splits = tmp_path / "out", str(tmp_path / "splits.json")
    call = ["crossval", f"--config={config}", f"--splits={splits}", f"--output={output}", "--seeds", "0", "1"]
    assert main(call) == 0
    figures = json.loads((output / "crossval.json").read_text())
    assert figures.keys() == {"fold0-seed0", "fold1-seed0", "fold0-seed1", "fold1-seed1"}
    assert len({figure["tau"] for figure in figures.values()}) > 1
    assert all(abs(figure["tau_random"]) < figure["tau_humans"] for figure in figures.values())
    assert len({figure["tau_mlp"] for figure in figures.values()}) > 1
    written = (output / "fold0-seed0" / "test.json").stat().st_mtime_ns
    (output / "fold1-seed1" / "test.json").unlink()
    assert main(call) == 0
    told = capsys.readouterr().out
    assert "4 runs, 3 of them done before" in told
    assert f"tau {over_seeds(figures, 'tau')[0]:.4f}" in " ".join(told.split())
    assert (output / "fold0-seed0" / "test.json").stat().st_mtime_ns == written
    assert json.loads((output / "crossval.json").read_text()) == figures  # equal seeds, equal figures


def test_the_checkpoint_that_validation_chose_is_tested(config: Path, tmp_path: Path) -> None:
    """Training that destroys the weights after the first epochs: what is tested is from before."""
    output = tmp_path / "out"
    wild = ["--model.init_args.optimization.init_args.lr=300.0", "--trainer.max_epochs=4"]
    figures = crossval([str(config)], str(tmp_path / "splits.json"), output, options=wild)
    best = output / "fold0-seed0" / "checkpoints" / "best.ckpt"
    data = SummaryH5(str(tmp_path / "a.h5"), splits=str(tmp_path / "splits.json"), part="test")
    model = load(best)
    metrics = model.objectives["summary"].metrics()
    for row in data:
        steps = row.load()[None]
        video = Modality(steps, torch.ones(steps.shape[:2], dtype=torch.bool))
        batch = Batch({"video": video}, {"annotation": [row.annotation]}, [row.id])
        scored = model.objectives["summary"](model.backbone.encode(batch.inputs), model.backbone.fuse, batch)
        model.objectives["summary"].update_metrics(metrics, scored, batch)
    assert figures["fold0-seed0"]["tau"] == pytest.approx(float(metrics.compute()["tau"]), abs=1e-6)
    last = torch.load(best.with_name("last.ckpt"), weights_only=True)
    assert torch.load(best, weights_only=True)["epoch"] < last["epoch"]


def test_a_config_without_a_best_checkpoint_is_refused(config: Path, tmp_path: Path) -> None:
    config.write_text(config.read_text().partition("  callbacks+")[0])
    with pytest.raises(UserError, match="keeps no best checkpoint"):
        crossval([str(config)], str(tmp_path / "splits.json"), tmp_path / "out")


def test_folders_of_another_config_are_refused(config: Path, tmp_path: Path) -> None:
    output, splits = tmp_path / "out", str(tmp_path / "splits.json")
    crossval([str(config)], splits, output, options=["--trainer.max_epochs=1"])
    with pytest.raises(UserError, match="holds runs of another config or other options"):
        crossval([str(config)], splits, output)
    write_splits(tmp_path / "splits.json", 6, folds=3)
    with pytest.raises(UserError, match="holds runs of another config or other options"):
        crossval([str(config)], splits, output, options=["--trainer.max_epochs=1"])


def test_bad_arguments_are_named(config: Path, tmp_path: Path) -> None:
    splits = str(tmp_path / "splits.json")
    with pytest.raises(UserError, match="--jobs 0"):
        crossval([str(config)], splits, tmp_path / "out", jobs=0)
    with pytest.raises(UserError, match=r"none\.yaml: cannot be read"):
        crossval(["none.yaml"], splits, tmp_path / "out")
    with pytest.raises(UserError, match=r"NO_SUCH_PLACE is not set"):
        crossval([str(config)], "$NO_SUCH_PLACE/splits.json", tmp_path / "out")


def test_a_fold_that_fails_is_named_and_the_others_are_kept(config: Path, tmp_path: Path) -> None:
    splits = tmp_path / "splits.json"
    folds = json.loads(splits.read_text())
    folds[0]["test"] = ["video_99"]
    splits.write_text(json.dumps(folds))
    with pytest.raises(UserError, match=r"1 runs failed.*fold0-seed0: .*'video_99'"):
        crossval([str(config)], str(splits), tmp_path / "out")
    assert (tmp_path / "out" / "fold1-seed0" / "test.json").exists()


def test_the_spread_is_of_means_over_folds() -> None:
    taus = {"fold0-seed0": 0.0, "fold1-seed0": 1.0, "fold0-seed1": 0.2, "fold1-seed1": 1.2}
    figures = {run: {"tau": tau} for run, tau in taus.items()}
    mean, spread = over_seeds(figures, "tau")
    assert mean == pytest.approx(0.6)
    assert spread == pytest.approx(0.1414, abs=1e-4)
    assert "0.6000" in table(figures)
    assert over_seeds({"fold0-seed0": {"tau": 0.3}}, "tau") == (0.3, 0.0)


def test_a_figure_that_some_folds_lack_is_of_the_others() -> None:
    """One person alone agrees with nobody: a fold of such videos has no figure of people."""
    figures = {
        "fold0-seed0": {"tau": 0.1},
        "fold1-seed0": {"tau": 0.3, "tau_humans": 0.4},
        "fold0-seed1": {"tau": 0.1},
        "fold1-seed1": {"tau": 0.3, "tau_humans": 0.6},
    }
    mean, spread = over_seeds(figures, "tau_humans")
    assert mean == pytest.approx(0.5)
    assert spread == pytest.approx(0.1414, abs=1e-4)
    _, tau, humans = table(figures).splitlines()
    assert tau.split() == ["tau", "0.2000", "±0.0000"]
    assert humans.split() == ["tau_humans", "0.5000", "±0.1414", "2", "of", "4", "runs"]


WHOLE = '{"train": ["a"], "test": ["b"]}'


@pytest.mark.parametrize("content", ["{}", "[]", "nonsense", f'[{WHOLE}, {{"train": ["a"]}}]', f'[{WHOLE}, "a"]'])
def test_splits_that_are_none_are_named(tmp_path: Path, content: str) -> None:
    splits = tmp_path / "splits.json"
    splits.write_text(content)
    with pytest.raises(UserError, match=r"splits\.json"):
        crossval(["a.yaml"], str(splits), tmp_path / "out")
    assert not (tmp_path / "out").exists()  # before anything is trained
