"""What every task promises, tried out on a config."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch

from mmtasks.inference.checkpoint import load
from mmtasks.objectives.base import Objective
from mmtasks.tasks.agreement import leaves_out_tasks
from mmtasks.tasks.base import Step, TaskModule
from mmtasks.tasks.launch import launch
from mmtasks.testing.compare import expect_equal, outputs
from mmtasks.testing.processes import DDP, DDP_UNUSED, check_two_processes, own_process_group
from mmtasks.testing.samples import Samples, draw, without
from mmtasks.types import Batch

SHORT = {
    "max_epochs": 1,
    "limit_train_batches": 2,
    "limit_val_batches": 1,
    "limit_test_batches": 1,
    "accelerator": "cpu",
    "enable_progress_bar": "false",
    "enable_model_summary": "false",
}
"""A run of two steps; two, because DDP complains of an unused weight in the second."""


def check_task(
    config: str | Path | Sequence[str | Path], *, options: Sequence[str] = (), two_processes: bool = True
) -> None:
    """Train a config for two steps on the CPU, in a folder of its own, and prove that its task keeps the contract.

    1. Every trained weight gets a gradient, and all stay finite; so are the figures of validation and test.
    2. The checkpoint alone gives the same tokens, fused tokens and outputs again.
    3. In evaluation a sample's outputs are the same alone as beside longer ones: neither padding, of which every input
       gets some, nor neighbours matter. What couples samples, such as a contrastive loss, belongs into ``losses``.
    4. A sample that lacks a modality makes no NaN, changes no other sample and, even where all samples lack it, leaves
       no weight without gradient.
    5. Two processes train it, by DDP if the config names no strategy, and their checkpoint loads.

    Args:
        config: a YAML file, or several that are laid one over another, as for ``mmtasks fit``.
        options: more of the command line, such as ``--data.init_args.batch_size=4``: whatever makes the run small.
        two_processes: also try the last point, which takes some seconds more.

    Raises:
        AssertionError: a promise is broken; the message says which, and of what.
        UserError: the config or its data cannot be used.
    """
    configs = [config] if isinstance(config, (str, Path)) else config
    arguments = [f"--config={path}" for path in configs]
    arguments += [f"--trainer.{name}={value}" for name, value in SHORT.items()] + list(options)
    with tempfile.TemporaryDirectory(prefix="mmtasks-check-") as folder:
        run = Path(folder) / "run"
        with own_process_group():
            cli = launch(["fit", *arguments, f"--trainer.default_root_dir={run}"])
            _check_figures(cli.trainer.logged_metrics, "training and validation")
            cli.trainer.test(cli.model, cli.datamodule, verbose=False)
            _check_figures(cli.trainer.logged_metrics, "test")
            check_model(cli.model, draw(cli.model, cli.datamodule), run / "checkpoints" / "last.ckpt")
        if two_processes:
            strategy = DDP_UNUSED if leaves_out_tasks(cli.datamodule) else DDP
            check_two_processes(arguments, Path(folder) / "two", strategy=strategy)


def check_model(model: TaskModule, samples: Samples, checkpoint: Path) -> None:
    """Points 1 to 4 of ``check_task``, of a trained model, some samples of its data and its checkpoint."""
    check_gradients(model, samples.step, "in training")
    check_checkpoint(model, samples, checkpoint)
    for name, (alone, together) in samples.tasks.items():
        check_neighbours(model, name, alone, together)
        for modality in together.inputs:
            check_missing(model, name, alone, together, modality)
            lacking = samples.step | {name: without(samples.step[name], modality)}
            check_gradients(model, lacking, f"where all samples of {name} lack {modality}")


def check_gradients(model: TaskModule, step: dict[str, Batch], when: str) -> None:
    """Losses, gradients and weights are finite, and no trained weight goes without."""
    model.train()
    model.zero_grad()
    losses = model.losses(_as_step(model, step))
    for name, parts in losses.items():
        for part, value in parts.items():
            if not value.isfinite():
                raise AssertionError(f"{when}, the loss {part} of {name} is {float(value.detach())}")
    model.total(losses).backward()
    for name, weight in model.named_parameters():
        if not weight.isfinite().all():
            raise AssertionError(f"after two steps the weight {name} is not finite")
        if weight.requires_grad and weight.grad is None:
            raise AssertionError(
                f"{when}, the weight {name} gets no gradient, so that processes cannot train together: use it in "
                "every step, freeze it, or leave it out"
            )
        if weight.grad is not None and not weight.grad.isfinite().all():
            raise AssertionError(f"{when}, the gradient of {name} is not finite")
    model.zero_grad()


def check_checkpoint(model: TaskModule, samples: Samples, checkpoint: Path) -> None:
    """What is loaded, without a trainer, gives what the model gives."""
    loaded = load(checkpoint)
    model.eval()
    for name, (_, batch) in samples.tasks.items():
        before = outputs(model.backbone, _objective(model, name), batch)
        after = outputs(loaded.backbone, loaded.objectives[name], batch)
        expect_equal(before, after, "the checkpoint gives another model than was trained", exactly=True)


def check_neighbours(model: TaskModule, name: str, alone: Batch, together: Batch) -> None:
    """The first sample is what it is alone."""
    model.eval()
    objective = _objective(model, name)
    by_itself, beside = outputs(model.backbone, objective, alone), outputs(model.backbone, objective, together)
    expect_equal(by_itself, beside.first(by_itself), f"{name}: a sample is another beside longer ones than alone")


def check_missing(model: TaskModule, name: str, alone: Batch, together: Batch, modality: str) -> None:
    """The others are what they are where the first sample lacks a modality."""
    model.eval()
    objective = _objective(model, name)
    lacking = without(together, modality, rows=len(alone.inputs[modality].mask))
    first = outputs(model.backbone, objective, alone)
    complete, found = (outputs(model.backbone, objective, batch) for batch in (together, lacking))
    found.expect_finite(f"{name}: a sample that lacks {modality}")
    complaint = f"{name}: a sample that lacks {modality} changes its neighbours"
    expect_equal(complete.after(first), found.after(first), complaint)


def _as_step(model: TaskModule, step: dict[str, Batch]) -> Step:
    """One batch for all objectives where they share it."""
    batches = list(step.values())
    return batches[0] if all(batch is batches[0] for batch in batches) else step


def _objective(model: TaskModule, name: str) -> Objective:
    return model.objectives[name]  # type: ignore[return-value]


def _check_figures(figures: dict[str, torch.Tensor], when: str) -> None:
    for name, value in figures.items():
        if not torch.as_tensor(value).isfinite():
            raise AssertionError(f"{when}: the figure {name} is {float(value)}")
