"""What a user gets wrong is answered in one line, before anything is trained."""

from pathlib import Path

import lightning  # noqa: F401  # its log keeps the stderr of its first import, which must not be that of one test
import pytest

from mmtasks.cli import main

SCENES = str(Path(__file__).parents[2] / "configs" / "scenes.yaml")
FLICKR = str(Path(__file__).parents[2] / "configs" / "flickr8k_mman.yaml")
FUSION = "--model.init_args.backbone.init_args.fusion"
DATA = "--data.init_args"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs go into a folder of the test's own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "fit needs --config FILE"),
        (["--config", "nope.yaml"], "File does not exist: "),
        (["--config", SCENES, f"{FUSION}.init_args.score=foo"], "unknown score 'foo'; allowed: additive, bilinear"),
        (["--config", SCENES, f"{FUSION}=mmtasks.fusion.mman.Foo"], "mmtasks.fusion.mman.Foo: module"),
        (["--config", SCENES, f"{DATA}.batchsize=3"], "ImageTextDataModule: Option 'batchsize' is not accepted"),
        (
            ["--config", SCENES, f"{DATA}.batch_size=x"],
            "DataModule: batch_size: Expected a <class 'int'>. Got value: x",
        ),
        (["--config", SCENES, "--trainer.max_epochs=x"], "trainer.max_epochs: Expected a <class 'int'>"),
        (["--config", SCENES, "--nope=3"], "unrecognized arguments: --nope=3"),
        (["--config", SCENES, "--ckpt_path=last"], "--ckpt_path last needs --config RUN/config.yaml"),
        (["--config", SCENES, "--ckpt_path=nope.ckpt"], "nope.ckpt: no such checkpoint"),
        (["--config", SCENES, "--trainer.default_root_dir=/dev/null/x"], "/dev/null/x: cannot be written"),
        (["--config", SCENES, "--trainer.devices=0"], "value is not a valid input using"),
        (["--config", FLICKR], "$MMTASKS_DATA is not set; export MMTASKS_DATA=FOLDER"),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MMTASKS_DATA", raising=False)
    assert main(["fit", *arguments]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set")]
    assert line.startswith("mmtasks: error: ")
    assert message in line


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("c.yaml", b"model: {a: [1, 2\ndata: 3\n", "c.yaml:2: not YAML (expected ',' or ']', but got ':')"),
        ("m.jsonl", b'{"id": "1", "image": "1.png", "captions": ["caf\xe9"]}\n', "m.jsonl:1: not UTF-8 text"),
        ("m.jsonl", b'{"id": "1", "image": "1.png", "captions": ["a"]}\n{oops}\n', "m.jsonl:2"),
        ("m.csv", b'id,image,caption\n1,1.png,"a\n', "m.csv"),
    ],
)
def test_a_broken_file_is_named_with_the_line(
    name: str, content: bytes, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    given = ["--config", str(path)] if name == "c.yaml" else [f"{DATA}.train.init_args.path={path}"]
    assert main(["fit", "--config", FLICKR, *given]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set")]
    assert message in line


@pytest.mark.parametrize("option", ["batch_size=0", "captions=0", "num_workers=-1", "max_bad_fraction=1.5"])
def test_options_of_the_data_out_of_range_are_named(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "--config", SCENES, f"{DATA}.{option}"]) == 2
    assert f"{option.replace('=', ' ')} must be" in capsys.readouterr().err
    assert not list(Path("runs").iterdir())


@pytest.mark.parametrize("content", [b"seed_everything: 0\n", b"", b"PK\x03\x04 cut off", b"\x80\x02}q\x00."])
@pytest.mark.parametrize("command", ["fit", "validate"])
def test_what_is_no_checkpoint_is_one_line(
    command: str, content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "last.ckpt").write_bytes(content)
    assert main([command, "--config", SCENES, f"--ckpt_path={tmp_path / 'last.ckpt'}"]) == 2
    [line] = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("Seed set")]
    assert line.startswith(f"mmtasks: error: {tmp_path / 'last.ckpt'}: not a ")


def test_figures_of_the_last_validation_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [f"{DATA}.{split}.init_args.number=4" for split in ("train", "val")]
    assert main(["fit", "--config", SCENES, *sizes, "--trainer.max_epochs=1", "--trainer.accelerator=cpu"]) == 0
    table = dict(line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("val/"))
    assert 0 <= float(table["val/dual_t2i_r1"]) <= 1


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmtasks.backbone.Backbone.build", lambda *_: [][0])
    with pytest.raises(IndexError):
        main(["fit", "--config", SCENES, f"{DATA}.train.init_args.number=4"])
