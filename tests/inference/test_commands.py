"""The commands of a trained image-text model, from the command line to what a person reads."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from mmtasks.cli import main
from mmtasks.data.images import ImageProcessor
from mmtasks.data.scenes.source import Scenes
from mmtasks.tasks.launch import launch

CONFIG = Path(__file__).parents[2] / "configs" / "scenes.yaml"
TINY = ["--data.init_args.train.init_args.number=8", "--data.init_args.val.init_args.number=8"]
TINY += ["--data.init_args.text.init_args.clean=[nfkc, lowercase, strip_punctuation, whitespace]"]
TINY += ["--trainer.limit_train_batches=1", "--trainer.max_epochs=1", "--trainer.enable_progress_bar=false"]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one training step."""
    folder = tmp_path_factory.mktemp("run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli = launch(["fit", "--config", str(CONFIG), *TINY])
    return folder / cli.trainer.default_root_dir / "checkpoints" / "last.ckpt"


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    """Twelve scenes as files."""
    rows = []
    for row in Scenes("test", number=12, captions=2):
        row.load().save(tmp_path / f"{row.id}.png")
        rows.append({"id": row.id, "image": f"{row.id}.png", "captions": row.captions})
    path = tmp_path / "m.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def fails(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    """The command ends with status 2 and one line that holds the message."""
    assert main([str(a) for a in arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("mmtasks: error: ") and error.count("\n") == 1, error
    assert message in error


def test_predict_ranks_both_ways(checkpoint: Path, manifest: Path, tmp_path: Path) -> None:
    output = tmp_path / "o.jsonl"
    arguments = ["predict", "--checkpoint", checkpoint, "--manifest", manifest, "--output", output]
    assert main([str(a) for a in arguments]) == 0
    lines = [json.loads(line) for line in output.read_text().splitlines()]
    ids = [json.loads(line)["id"] for line in manifest.read_text().splitlines()]
    assert [line["query_id"] for line in lines] == [f"{i}#{k}" for i in ids for k in (0, 1)] + ids
    assert {line["query_kind"] for line in lines} == {"text", "image"}
    for line in lines:
        found, scores = zip(*line["ranking"], strict=True)
        assert len(set(found)) == 10
        assert list(scores) == sorted(scores, reverse=True)
        assert all((name in ids) == (line["query_kind"] == "text") for name in found)


def test_search_draws_a_sheet_and_is_cached(
    checkpoint: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (manifest.parent / "broken.png").write_bytes(b"no picture")
    sheet = tmp_path / "sheet.png"
    arguments = ["search", "a red square", manifest.parent, "--checkpoint", checkpoint, "--output", sheet, "--top", 3]
    outputs = []
    for _ in range(2):
        assert main([str(a) for a in arguments]) == 0
        outputs.append(capsys.readouterr().out.splitlines())
        assert Image.open(sheet).width > 100
        sheet.unlink()
    first, second = outputs
    assert "broken.png" in first[0] and first == second
    assert [line.split()[0] for line in second[1:4]] == ["1", "2", "3"]


def test_nothing_that_is_read_is_overwritten(
    checkpoint: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = manifest.read_bytes()
    told = "is read by this command and would be overwritten"
    fails(capsys, ["predict", "--checkpoint", checkpoint, "--manifest", manifest, "--output", manifest], told)
    assert manifest.read_bytes() == before
    picture = next(tmp_path.glob("*.png"))
    fails(capsys, ["match", picture, "a red square", "--checkpoint", checkpoint, "--show", picture], told)
    [*_] = [Image.open(path).load() for path in tmp_path.glob("*.png")]


def test_search_does_not_find_its_own_sheet(
    checkpoint: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = str(tmp_path / "search.png")
    for _ in range(2):
        assert main(["search", "a square", str(tmp_path), "--checkpoint", str(checkpoint), "--output", output]) == 0
        assert "search.png" not in capsys.readouterr().out.replace(f"contact sheet: {output}", "")


def test_search_goes_on_where_the_run_s_folder_cannot_be_written(
    checkpoint: Path,
    manifest: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    copy = tmp_path / "run" / "last.ckpt"
    copy.parent.mkdir()
    copy.write_bytes(checkpoint.read_bytes())
    (copy.parent / "search-cache").write_text("a file where the cache would lie")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    arguments = ["search", "a red square", manifest.parent, "--checkpoint", copy, "--output", tmp_path / "sheet.png"]
    assert main([str(a) for a in arguments]) == 0
    assert "cannot be written" in capsys.readouterr().out.splitlines()[0]
    assert list((tmp_path / "elsewhere").rglob("*.npy"))


def test_predict_leaves_out_captions_without_words_and_keeps_the_numbers_of_the_others(
    checkpoint: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    rows[1]["captions"][0], rows[2]["captions"] = "!!!", ["..."]
    manifest.write_text("\n".join(map(json.dumps, rows)))
    arguments = ["predict", "--checkpoint", checkpoint, "--manifest", manifest, "--output", tmp_path / "o.jsonl"]
    assert main([str(a) for a in [*arguments, "--max-bad-fraction", 0.5]]) == 0
    out = capsys.readouterr().out
    assert "m.jsonl:3: no caption is left after cleaning" in out
    assert "left out 1 captions without words: m.jsonl:2: caption 1" in out
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    texts = [line["query_id"] for line in lines if line["query_kind"] == "text"]
    assert len(texts) == 21 and texts[:3] == [f"{rows[0]['id']}#0", f"{rows[0]['id']}#1", f"{rows[1]['id']}#1"]


def test_search_takes_pictures_of_any_size_and_any_text(checkpoint: Path, tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "p" / "wide.png")
    Image.new("RGB", (50, 70), "blue").save(tmp_path / "p" / "tall.png")
    (tmp_path / "p" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    output = tmp_path / "sheet.png"
    search = ["search", "$^$ a square", tmp_path / "p", "--checkpoint", checkpoint, "--output", output]
    assert main([str(a) for a in search]) == 0
    assert Image.open(output).width > 100


def test_match_gives_a_probability_and_shows_attention(
    checkpoint: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(manifest.parent.glob("*.png"))
    arguments = ["match", image, "a red square", "--checkpoint", checkpoint, "--show", tmp_path / "a.png"]
    assert main([str(a) for a in arguments]) == 0
    assert 0 <= float(capsys.readouterr().out.splitlines()[0]) <= 1
    assert Image.open(tmp_path / "a.png").width > 100


def test_attention_is_shown_on_what_the_model_saw(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (90, 60), "red").save(tmp_path / "wide.png")
    shown = []
    monkeypatch.setattr("mmtasks.inference.image_text_commands.attention_figure", lambda p, *_: shown.append(p.size))
    match = ["match", str(tmp_path / "wide.png"), "a red square", f"--checkpoint={checkpoint}", "--show=a.png"]
    assert main(match) == 0
    monkeypatch.setattr(ImageProcessor, "crops", True)
    assert main(match) == 0
    assert shown == [(90, 60), (64, 64)]


def test_bad_input_is_one_line(
    checkpoint: Path, manifest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = next(manifest.parent.glob("*.png"))
    match = ["match", image, "a square", "--checkpoint"]
    (tmp_path / "other.ckpt").write_bytes(b"garbage")
    fails(capsys, [*match, tmp_path / "no.ckpt"], "no.ckpt: no such checkpoint")
    fails(capsys, [*match, tmp_path / "other.ckpt"], "other.ckpt: not a readable checkpoint")
    torch.save({"weights": 1}, tmp_path / "foreign.ckpt")
    fails(capsys, [*match, tmp_path / "foreign.ckpt"], "foreign.ckpt: not a checkpoint of mmtasks")
    fails(capsys, ["match", tmp_path / "no.png", "a", "--checkpoint", checkpoint], "no.png: no such picture")
    fails(capsys, ["match", image, "  ", "--checkpoint", checkpoint], "no words left")
    fails(capsys, ["search", "a", tmp_path / "none", "--checkpoint", checkpoint], "none: no such folder")
    fails(capsys, ["search", "a", tmp_path, "--checkpoint", checkpoint, "--output", "s.xyz"], "s.xyz: not the name of")
    fails(capsys, [*match, checkpoint, "--show", "s.xyz"], "s.xyz: not the name of a picture")
    fails(capsys, [*match, checkpoint, "--device", "foo"], "--device foo: cannot be used")
    predict = ["predict", "--checkpoint", checkpoint, "--manifest"]
    fails(capsys, [*predict, tmp_path / "no.jsonl", "--output", tmp_path / "o.jsonl"], "no.jsonl: no such file")
    fails(capsys, [*predict, manifest, "--output", tmp_path / "none" / "o.jsonl"], "choose another --output")


@pytest.mark.parametrize("option", [["--top", "0"], ["--top", "-3"], ["--max-bad-fraction", "2"]])
def test_options_out_of_range_are_named(option: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["predict", "--checkpoint", "c", "--manifest", "m", "--output", "o", *option])
    assert f"argument {option[0]}: '{option[1]}' is not a" in capsys.readouterr().err


def test_checkpoint_of_another_task(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = torch.load(checkpoint, weights_only=True)
    content["mmtasks"]["objectives"] = {}
    torch.save(content, tmp_path / "other.ckpt")
    fails(capsys, ["match", "x.png", "a", "--checkpoint", tmp_path / "other.ckpt"], "not for image-text matching")


def test_help_needs_no_torch() -> None:
    code = "import sys; from mmtasks.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "assert not {'torch', 'lightning', 'numpy'} & set(sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert all(name in result.stdout for name in ("fit", "validate", "test", "predict", "search", "match"))
