"""Joint training from the command line: three tasks in one checkpoint, each of use alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmtasks.cli import main
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import load
from mmtasks.inference.image_text import Matcher
from mmtasks.inference.speech import Transcriber
from mmtasks.inference.summary import Summarizer
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.launch import launch
from mmtasks.types import Batch
from tests.inference.summaries import film
from tests.small import small_backbone, small_batch, small_objective
from tests.test_configs import FOLDER, tiny

JOINT = FOLDER / "quickstart.yaml"
TASKS = ["image_text", "transcription", "summary"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of a few steps, whose figures were tested."""
    folder = tmp_path_factory.mktemp("joint")
    options = ["--trainer.log_every_n_steps=1", "--model.init_args.log_conflict_every=1"]
    sampling = "--data.init_args.sampling=mmtasks.data.sampling.EveryTask"
    cli = launch(["fit", f"--config={JOINT}", *tiny(JOINT), sampling, *options, f"--trainer.default_root_dir={folder}"])
    cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    return folder


def test_figures_are_named_by_task(run: Path) -> None:
    header = (run / "metrics.csv").read_text().splitlines()[0].split(",")
    for name in ("val/image_text/dual_t2i_r1", "test/transcription/wer", "test/summary/tau", "test/summary/tau_random"):
        assert name in header
    assert "conflict/image_text|summary" in header and "train/transcription/ctc" in header
    assert (run / "test-queries.png").is_file() and (run / "test-utterances.html").is_file()


def test_each_task_of_the_checkpoint_can_be_used(run: Path, tmp_path: Path) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    rows = {
        "image": {"image": "a.png", "captions": ["a red square"]},
        "audio": {"audio": "a.wav"},
    }
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 16_000)
    for kind, row in rows.items():
        manifest, output = tmp_path / f"{kind}.jsonl", tmp_path / f"{kind}-out.jsonl"
        manifest.write_text(json.dumps({"id": "a", **row}))
        command = ["predict", "--checkpoint", str(checkpoint), "--manifest", str(manifest), "--output", str(output)]
        assert main(command) == 0
        expected = {"image": "ranking", "audio": "text"}[kind]
        assert expected in json.loads(output.read_text().splitlines()[0])
    assert Summarizer(checkpoint).reads_text


def test_every_command_takes_the_checkpoint_of_several_tasks(run: Path, tmp_path: Path) -> None:
    pytest.importorskip("av")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 16_000)
    film(tmp_path / "film.mp4", 0)
    (tmp_path / "films.jsonl").write_text(json.dumps({"id": "a", "video": "film.mp4"}))
    commands = {
        "predict": ["--manifest", "films.jsonl", "--output", "scores.jsonl"],
        "match": ["a.png", "a red square"],
        "search": ["a red square", ".", "--output", "found.png"],
        "transcribe": ["a.wav", "--output", "texts"],
        "summarize": ["film.mp4", "--query", "the red square hits", "--output", "summaries"],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        for command, arguments in commands.items():
            assert main([command, *arguments, "--checkpoint", str(run / "checkpoints" / "last.ckpt")]) == 0
    assert len(json.loads((tmp_path / "scores.jsonl").read_text())["scores"]) > 1
    for written in ("found.png", "texts/a.txt", "summaries/film/summary.mp4", "summaries/film/summary.json"):
        assert (tmp_path / written).is_file()


def test_a_manifest_of_several_tasks_is_for_the_one_that_is_named(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(8000), 16_000)
    manifest, output = tmp_path / "both.jsonl", tmp_path / "out.jsonl"
    manifest.write_text(json.dumps({"id": "a", "audio": "a.wav", "image": "a.png", "captions": ["a red square"]}))
    command = ["predict", "--checkpoint", str(run / "checkpoints" / "last.ckpt"), "--manifest", str(manifest)]
    command += ["--output", str(output)]
    assert main(command) == 2
    assert "has the columns image, audio; say with --objective for which of" in capsys.readouterr().err
    for objective, key in {"transcription": "text", "image_text": "ranking"}.items():
        assert main([*command, "--objective", objective]) == 0
        assert key in json.loads(output.read_text().splitlines()[0])
    assert main([*command, "--objective", "activity"]) == 2
    assert "has objectives image_text, transcription, summary, not activity" in capsys.readouterr().err


def test_one_of_two_objectives_of_a_kind_must_be_named(run: Path) -> None:
    model = load(run / "checkpoints" / "last.ckpt")
    objectives = {"read": model.objectives["transcription"], "spoken": model.objectives["transcription"]}
    assert Transcriber(replace(model, objectives={"read": objectives["read"]})).objective is objectives["read"]
    with pytest.raises(
        UserError, match="has the objectives read, spoken for transcription; name one, with --objective"
    ):
        Transcriber(replace(model, objectives=objectives))


def test_a_manifest_of_no_task_is_named(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "none.jsonl").write_text('{"id": "a", "sensor": "a.csv"}')
    options = ["--manifest", str(tmp_path / "none.jsonl"), "--output", str(tmp_path / "out.jsonl")]
    assert main(["predict", "--checkpoint", str(run / "checkpoints" / "last.ckpt"), *options]) == 2
    assert "give one of the columns image, audio, video" in capsys.readouterr().err


@pytest.mark.parametrize("task", TASKS)
def test_one_objective_loads_alone_and_gives_what_it_gives_with_the_others(run: Path, task: str) -> None:
    checkpoint = run / "checkpoints" / "last.ckpt"
    whole, alone = load(checkpoint), load(checkpoint, objectives=[task])
    assert list(whole.objectives) == TASKS and list(alone.objectives) == [task]
    for name, weight in whole.objectives[task].state_dict().items():
        assert torch.equal(weight, alone.objectives[task].state_dict()[name])
    user = {"image_text": Matcher, "transcription": Transcriber, "summary": Summarizer}
    assert user.pop(task)(alone).objective is alone.objectives[task]
    for other in user.values():
        with pytest.raises(UserError, match=f"trained for {task}"):
            other(alone)


def test_an_objective_that_is_not_there_is_named(run: Path) -> None:
    with pytest.raises(UserError, match="has objectives image_text, transcription, summary, not activity"):
        load(run / "checkpoints" / "last.ckpt", objectives=["activity"])


def test_every_weight_has_one_name(run: Path) -> None:
    state = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert len({weight.data_ptr() for weight in state.values() if weight.numel()}) == len(
        [weight for weight in state.values() if weight.numel()]
    )
    assert not [name for name in state if "video" in name and "conv1" in name]


def test_another_task_starts_from_its_backbone(run: Path, tmp_path: Path) -> None:
    config = FOLDER / "films.yaml"
    start = [f"--init_backbone_from={run / 'checkpoints' / 'last.ckpt'}", "--init_backbone_skip=[encoders,project]"]
    sizes = ["--model.init_args.backbone.init_args.dim=128", "--trainer.limit_train_batches=0"]
    folder = f"--trainer.default_root_dir={tmp_path / 'films'}"
    cli = launch(["fit", f"--config={config}", *tiny(config), *start, *sizes, folder])
    given = load(run / "checkpoints" / "last.ckpt").backbone.state_dict()
    own = {n: w for n, w in cli.model.backbone.state_dict().items() if n.startswith(("fusion", "modality"))}
    assert own and all(torch.equal(weight, given[name]) for name, weight in own.items())


def test_a_batch_for_each_objective_gives_the_losses_of_each_alone() -> None:
    objectives = {"first": small_objective(), "second": small_objective("sigmoid")}
    task = TaskModule(small_backbone(), objectives)
    task.weighting.build(list(objectives))
    parts: dict[str, Batch] = {"first": small_batch(4), "second": small_batch(6)}
    task.train()
    both = task.losses(parts)
    for objective in objectives.values():
        objective.draws.zero_()
    for name, part in parts.items():
        [(alone, losses)] = task.losses({name: part}).items()
        assert alone == name
        for key, value in losses.items():
            torch.testing.assert_close(both[name][key], value)
    expected = sum(value for found in both.values() for value in found.values())
    torch.testing.assert_close(task.total(both), expected)


def test_a_task_without_an_objective_is_named() -> None:
    task = TaskModule(small_backbone(), {"first": small_objective()})
    with pytest.raises(UserError, match="a task 'other', the model has objectives first"):
        task.losses({"other": small_batch()})
