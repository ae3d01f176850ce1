"""The same command trains in several processes as in one: losses, figures, one run folder, whatever the strategy."""

import csv
from pathlib import Path

import pytest
import torch

from mmtasks.inference.checkpoint import load
from tests.processes import fit

CONFIGS = Path(__file__).parents[2] / "configs"
DATA = "data.init_args"
PLAIN = {"trainer.max_epochs": 1, "trainer.enable_progress_bar": "false", "trainer.log_every_n_steps": 1}
TASKS = {
    "scenes": {f"{DATA}.train.init_args.number": 16, f"{DATA}.batch_size": 8},
    "commands": {
        f"{DATA}.train.init_args.number": 14,
        f"{DATA}.max_batch_size": 4,
        f"{DATA}.speeds": "[1.0]",
        "model.init_args.objective.init_args.dropout": 0.0,
        "model.init_args.backbone.init_args.encoders.audio.init_args.spec_augment": "{frequencies: 0, times: 0}",
    },
    "films": {f"{DATA}.train.init_args.number": 4, f"{DATA}.batch_size": 4},
}
BATCH = {"scenes": "batch_size", "commands": "max_batch_size", "films": "batch_size"}
EVALUATION = {"scenes": 3, "commands": 3, "films": 1}
"""Samples (of films each gives two): not a multiple of 2, and with 4 processes some have none."""


def options(task: str, *overlays: str, world: int = 1) -> list[str]:
    """A config cut down, its batch the same over all processes."""
    if task == "commands":
        pytest.importorskip("espeakng_loader")
    chosen = {**PLAIN, **TASKS[task]}
    chosen |= {f"{DATA}.{split}.init_args.number": EVALUATION[task] for split in ("val", "test")}
    batch = f"{DATA}.{BATCH[task]}"
    chosen[batch] = int(chosen[batch]) // world
    configs = [CONFIGS / f"{task}.yaml", *(CONFIGS / "overlays" / f"{name}.yaml" for name in overlays)]
    return [*(f"--config={path}" for path in configs), *(f"--{name}={value}" for name, value in chosen.items())]


def figures(run: Path) -> list[dict[str, float]]:
    """What was logged at each step and at the end."""
    with (run / "metrics.csv").open() as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "world"), [("scenes", 2), ("commands", 2), ("films", 2), ("scenes", 4)])
def test_processes_have_the_losses_and_figures_of_one(task: str, world: int, tmp_path: Path) -> None:
    alone = figures(fit(tmp_path / "alone", 1, *options(task)))
    shared = figures(fit(tmp_path / "shared", world, *options(task, "ddp", world=world)))
    assert len(alone) == len(shared) > 2
    for one, many in zip(alone, shared, strict=True):
        assert many == pytest.approx(one, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_divided_weights_learn_the_same_and_their_checkpoint_is_whole(task: str, tmp_path: Path) -> None:
    run = fit(tmp_path / "divided", 2, *options(task, "fsdp", world=2))
    alone = fit(tmp_path / "alone", 1, *options(task))
    for one, many in zip(figures(alone), figures(run), strict=True):
        assert many == pytest.approx(one, rel=1e-3)
    divided, whole = (load(folder / "checkpoints" / "last.ckpt") for folder in (run, alone))
    found, expected = divided.backbone.state_dict(), whole.backbone.state_dict()
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=0, atol=2e-3, msg=name)


@pytest.mark.slow
def test_divided_weights_go_on_from_a_checkpoint_and_take_all_overlays(tmp_path: Path) -> None:
    overlays = options("commands", "fsdp", "bf16", "activation_checkpointing", world=2)
    run = fit(tmp_path / "first", 2, *overlays)
    checkpoint = run / "checkpoints" / "last.ckpt"
    more = fit(tmp_path / "second", 2, *overlays, "--trainer.max_epochs=2", f"--ckpt_path={checkpoint}")
    steps = torch.load(checkpoint, weights_only=True)["global_step"]
    assert torch.load(more / "checkpoints" / "last.ckpt", weights_only=True)["global_step"] == 2 * steps


@pytest.mark.slow
def test_two_processes_go_on_as_if_they_had_never_stopped(tmp_path: Path) -> None:
    """Bit by bit, dropout of each process and its place in the epoch included."""
    dropout = "--model.init_args.backbone.init_args.dropout=0.3"
    often = [*options("scenes", "ddp", world=2), dropout, "--trainer.max_epochs=2"]
    save = "--trainer.callbacks+=tests.tasks.test_resume.SaveEach"
    whole = fit(tmp_path / "whole", 2, *often, save)
    steps = sorted(int(path.stem) for path in whole.glob("*.ckpt"))
    expected = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    within_second_epoch = whole / f"{len(steps) // 2 + 1}.ckpt"
    on = fit(tmp_path / "on", 2, *often, f"--ckpt_path={within_second_epoch}")
    found = torch.load(on / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    assert found.keys() == expected.keys()
    assert all(torch.equal(weight, found[name]) for name, weight in expected.items())


JOINT = {
    "image_text": {"train.init_args.number": 16, "val.init_args.number": 4, "batch_size": 4},
    "transcription": {"train.init_args.number": 12, "val.init_args.number": 3, "batch_seconds": 8},
    "summary": {"train.init_args.number": 4, "val.init_args.number": 2, "batch_size": 2},
}


@pytest.mark.slow
def test_divided_weights_learn_several_tasks_as_copies_do(tmp_path: Path) -> None:
    pytest.importorskip("espeakng_loader")
    small = {**PLAIN, f"{DATA}.steps_per_epoch": 8, f"{DATA}.sampling.init_args.weights": dict.fromkeys(JOINT, 1)}
    for task, cut in JOINT.items():
        small |= {f"{DATA}.tasks.{task}.init_args.{name}": value for name, value in cut.items()}
    runs = {}
    for overlay in ("fsdp", "ddp_one_task"):
        configs = [CONFIGS / "quickstart.yaml", CONFIGS / "overlays" / f"{overlay}.yaml"]
        chosen = [*(f"--config={path}" for path in configs), *(f"--{name}={value}" for name, value in small.items())]
        runs[overlay] = figures(fit(tmp_path / overlay, 2, *chosen))
    drawn = {name for row in runs["fsdp"] for name in row if name.startswith("train/")}
    assert {name.split("/")[1] for name in drawn} >= set(JOINT)
    for divided, copied in zip(runs["fsdp"], runs["ddp_one_task"], strict=True):
        assert divided == pytest.approx(copied, rel=1e-3)
