"""After a test there are a table of figures and a picture of queries."""

from pathlib import Path

import pytest
from PIL import Image

from mmtasks.cli import main

CONFIG = Path(__file__).parents[2] / "configs" / "scenes.yaml"
TINY = [f"--data.init_args.{split}.init_args.number=8" for split in ("train", "val", "test")]


def test_best_and_worst_queries_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    quiet = ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]
    assert main(["fit", "--config", str(CONFIG), *TINY, *quiet]) == 0
    [trained] = Path("runs").iterdir()
    checkpoint = trained / "checkpoints" / "last.ckpt"
    assert main(["test", "--config", str(trained / "config.yaml"), "--ckpt_path", str(checkpoint)]) == 0
    [run] = set(Path("runs").iterdir()) - {trained}
    assert run.name.startswith("scenes-")
    sheet = run / "test-queries.png"
    printed = capsys.readouterr().out
    assert str(sheet) in printed
    assert "test/t2i_r1" in printed and "test/match_auc" in printed
    width, height = Image.open(sheet).size
    assert width > 6 * 100 and height > 10 * 100  # its own and five found, five good and five bad captions
