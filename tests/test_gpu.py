"""What holds on a GPU: the same figures as on the CPU, training in bfloat16 with compiled and recomputed blocks."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from mmtasks.cli import main
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.launch import launch
from mmtasks.testing.compare import expect_equal, outputs
from mmtasks.testing.samples import draw
from tests.test_configs import FOLDER, tiny

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
    pytest.mark.timeout(600),  # the first compilation takes a minute
]
QUICKSTART = FOLDER / "quickstart.yaml"
ON_CPU, ON_GPU = "--trainer.accelerator=cpu", "--trainer.accelerator=gpu"


def fit(folder: Path, *options: str, config: Path = QUICKSTART, overlays: tuple[str, ...] = ()):
    """A few steps of all three tasks."""
    laid = [f"--config={FOLDER / 'overlays' / name}.yaml" for name in overlays]
    sampling = "--data.init_args.sampling=mmtasks.data.sampling.EveryTask"
    given = [arg for arg in tiny(config) if not arg.startswith("--trainer.accelerator")]
    return launch(
        ["fit", f"--config={config}", *laid, *given, sampling, f"--trainer.default_root_dir={folder}", *options]
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory):
    """A run on the GPU, in full precision, that was tested."""
    cli = fit(tmp_path_factory.mktemp("gpu"), ON_GPU)
    cli.trainer.test(cli.model, cli.datamodule, verbose=False)
    return cli


def test_a_checkpoint_of_a_gpu_gives_the_same_on_the_cpu(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    model = TaskModule.load_from_checkpoint(Path(run.trainer.default_root_dir) / "checkpoints" / "last.ckpt").eval()
    for name, (_, batch) in draw(run.model, run.datamodule).tasks.items():
        on_cpu = outputs(model.cpu().backbone, model.objectives[name], batch)
        moved = run.trainer.strategy.batch_to_device(batch, torch.device("cuda"))
        on_gpu = outputs(model.cuda().backbone, model.objectives[name], moved)
        on_gpu = type(on_gpu)({key: value.cpu() for key, value in on_gpu.items()})
        expect_equal(on_cpu, on_gpu, f"{name} is another on a GPU")


def test_what_was_trained_on_a_gpu_is_used_there_and_on_the_cpu(run, tmp_path: Path) -> None:
    checkpoint = Path(run.trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).standard_normal(16_000), 16_000)
    found = {}
    for device in ("cpu", "cuda"):
        for kind, row in {
            "image": {"image": "a.png", "captions": ["a red square"]},
            "audio": {"audio": "a.wav"},
        }.items():
            manifest, output = tmp_path / f"{kind}.jsonl", tmp_path / f"{kind}-{device}.jsonl"
            manifest.write_text(json.dumps({"id": "a", **row}))
            command = ["predict", "--checkpoint", str(checkpoint), "--manifest", str(manifest), "--output", str(output)]
            assert main([*command, "--device", device]) == 0
            found[kind, device] = [json.loads(line) for line in output.read_text().splitlines()]
    for kind in ("image", "audio"):
        for one, other in zip(found[kind, "cpu"], found[kind, "cuda"], strict=True):
            assert other == {name: close(value) for name, value in one.items()}


def close(value: Any) -> Any:
    """Equal to the value, to numbers as far as another order of sums tells."""
    if isinstance(value, list):
        return [close(part) for part in value]
    return pytest.approx(value, rel=1e-2, abs=1e-3) if isinstance(value, float) else value


def test_the_large_joint_model_has_a_hundred_million_weights_and_trains(tmp_path: Path) -> None:
    large = FOLDER / "overlays" / "joint_large.yaml"
    cli = fit(tmp_path, ON_GPU, f"--config={large}", config=FOLDER / "joint.yaml", overlays=("bf16",))
    assert sum(weight.numel() for weight in cli.model.parameters()) > 100e6
    assert torch.isfinite(cli.trainer.callback_metrics["train/loss"])


def test_training_on_a_gpu_follows_that_on_the_cpu(tmp_path: Path) -> None:
    losses = []
    for where in (ON_CPU, ON_GPU):
        cli = fit(tmp_path / where[-3:], where, "--trainer.log_every_n_steps=1")
        losses.append(float(cli.trainer.callback_metrics["train/loss"]))
    assert losses[1] == pytest.approx(losses[0], rel=0.1)  # dropout draws other numbers there


@pytest.mark.parametrize("overlays", [("bf16",), ("bf16", "compile"), ("bf16", "compile", "activation_checkpointing")])
def test_overlays_for_gpus_train_and_their_checkpoint_loads_on_the_cpu(
    overlays: tuple[str, ...], tmp_path: Path
) -> None:
    cli = fit(tmp_path, ON_GPU, overlays=overlays)
    assert torch.isfinite(cli.trainer.callback_metrics["train/loss"])
    model = TaskModule.load_from_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert all(weight.device.type == "cpu" and weight.dtype == torch.float32 for weight in model.parameters())


def test_a_run_on_a_gpu_goes_on_from_its_checkpoint(run, tmp_path: Path) -> None:
    checkpoint = Path(run.trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    cli = fit(tmp_path, ON_GPU, f"--ckpt_path={checkpoint}", "--trainer.max_epochs=2")
    assert cli.trainer.global_step == 2 * run.trainer.global_step > 0
