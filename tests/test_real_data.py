"""With the real photographs at hand: they read, and a model learns from a few of them."""

import os
from pathlib import Path

import pytest

from mmtasks.data.sources import Manifest
from mmtasks.data.usable import usable_rows
from mmtasks.inference.image_text import Matcher
from mmtasks.tasks.launch import launch

CONFIG = Path(__file__).parent.parent / "configs" / "flickr8k_pretrained.yaml"
FLICKR = "$MMTASKS_DATA/flickr8k"
needs_flickr8k = pytest.mark.skipif(
    not Path(os.path.expandvars(FLICKR), "train.jsonl").is_file(), reason="needs MMTASKS_DATA/flickr8k"
)
pytestmark = [pytest.mark.slow, needs_flickr8k]


@pytest.mark.parametrize(("split", "number"), [("train", 6000), ("dev", 1000)])
def test_every_row_is_usable(split: str, number: int) -> None:
    rows = usable_rows(Manifest(f"{FLICKR}/{split}.jsonl"), ["nfkc", "whitespace"], max_bad_fraction=0)
    assert len(rows) == number
    assert {len(row.captions) for row in rows} == {5}


def test_pretrained_encoders_learn_from_few_photographs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = "--data.init_args"
    options = [f"{data}.train.init_args.limit=128", f"{data}.batch_size=32", f"{data}.feature_cache=cache"]
    options += [f"{data}.val.init_args.skip=5900", f"{data}.test.init_args.limit=50"]
    cli = launch(
        ["fit", "--config", str(CONFIG), "--trainer.max_epochs=8", "--trainer.enable_progress_bar=false", *options]
    )
    chance = 10 / 100
    figures = {name: float(value) for name, value in cli.trainer.callback_metrics.items()}
    assert figures["val/dual_t2i_r10"] > 2.5 * chance
    assert figures["val/dual_i2t_r10"] > 2.5 * chance
    [tested] = cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    assert {"test/t2i_r1", "test/i2t_r1", "test/match_auc"} <= tested.keys()
    run = Path(cli.trainer.default_root_dir)
    assert (run / "test-queries.png").is_file()
    matcher = Matcher(run / "checkpoints" / "last.ckpt")
    rows = list(cli.datamodule.datasets["test"].rows)[:4]
    scores = matcher.rank(
        matcher.encode_texts(row.captions[0] for row in rows),
        matcher.encode_images(row.load() for row in rows),
        queries_are="text",
    )
    assert scores.shape == (4, 4)
