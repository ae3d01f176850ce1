"""After a test there are a table of figures and a picture of queries."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from mmtasks.cli import main
from mmtasks.data.image_text import ImageTextDataModule
from mmtasks.data.images import ImageProcessor
from mmtasks.data.scenes.source import Scenes
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.objectives.image_text import ImageText
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.contact_sheet import ContactSheet
from tests.small import small_backbone

CONFIG = Path(__file__).parents[2] / "configs" / "scenes.yaml"
TINY = [f"--data.init_args.{split}.init_args.number=8" for split in ("train", "val", "test")]


@pytest.mark.parametrize("captions", [1, 2])
def test_a_set_of_one_picture_is_drawn(captions: int, tmp_path: Path) -> None:
    source = Scenes("test", number=1, size=16, captions=captions)
    data = ImageTextDataModule(source, source, text=TextProcessor(WordTokenizer()), image=ImageProcessor(["RGB"]))
    data.setup()
    task = TaskModule(small_backbone(), {"matching": ImageText()}).eval()
    task.build(data.facts())
    task._begin_metrics()
    for batch in data.test_dataloader():
        task.test_step(batch, 0)
    objective, metrics = task._objective("matching"), task.stage_metrics["matching"]
    figures = objective.compute_metrics(metrics, task.backbone.fuse, full=True)
    assert figures["t2i_r1"] == figures["dual_i2t_r1"] == 1
    trainer: Any = SimpleNamespace(is_global_zero=True, default_root_dir=tmp_path, datamodule=data)
    ContactSheet().on_test_end(trainer, task)
    assert Image.open(tmp_path / "test-queries.png").height > captions * 100


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
