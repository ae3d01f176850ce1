"""What a user gets wrong is answered in one line, before anything is trained."""

from pathlib import Path

import pytest

from mmtasks.cli import main

SCENES = str(Path(__file__).parents[2] / "configs" / "scenes.yaml")
FLICKR = str(Path(__file__).parents[2] / "configs" / "flickr8k_mman.yaml")
FUSION = "--model.init_args.backbone.init_args.fusion"
DATA = "--data.init_args"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "fit needs --config FILE"),
        (["--config", "nope.yaml"], "File does not exist: "),
        (["--config", SCENES, f"{FUSION}.init_args.score=foo"], "unknown score 'foo'; allowed: additive, bilinear"),
        (["--config", SCENES, f"{FUSION}=mmtasks.fusion.mman.Foo"], "mmtasks.fusion.mman.Foo: module"),
        (["--config", SCENES, f"{DATA}.batchsize=3"], "ImageTextDataModule: Option 'batchsize' is not accepted"),
        (["--config", SCENES, f"{DATA}.batch_size=x"], "Expected a <class 'int'>. Got value: x"),
        (["--config", SCENES, "--nope=3"], "unrecognized arguments: --nope=3"),
        (["--config", SCENES, "--ckpt_path=last"], "--ckpt_path last needs --config RUN/config.yaml"),
        (["--config", SCENES, "--ckpt_path=nope.ckpt"], "nope.ckpt: no such checkpoint"),
        (["--config", SCENES, "--trainer.default_root_dir=/dev/null/x"], "/dev/null/x: cannot be written"),
        (["--config", FLICKR], "$MMTASKS_DATA is not set; export MMTASKS_DATA=FOLDER"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MMTASKS_DATA", raising=False)
    assert main(["fit", *arguments]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set")]
    assert line.startswith("mmtasks: error: ")
    assert message in line


def test_a_bug_keeps_its_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mmtasks.backbone.Backbone.build", lambda *_: [][0])
    with pytest.raises(IndexError):
        main(["fit", "--config", SCENES, f"{DATA}.train.init_args.number=4"])
