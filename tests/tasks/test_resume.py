"""A run that ended anywhere and goes on from its last checkpoint ends with the same weights, bit by bit."""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer, seed_everything
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.backbone import Backbone
from mmtasks.data.base import TaskData
from mmtasks.data.joint import JointDataModule
from mmtasks.data.sampler import EpochSampler
from mmtasks.data.sampling import EveryTask, OneTask, Sampling
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.text import TransformerText
from mmtasks.errors import Interrupted, UserError
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.objectives.image_text import ImageText
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.callbacks import GracefulStop
from mmtasks.tasks.checkpoint_every import CheckpointEvery
from mmtasks.tasks.exact_resume import ExactResume
from mmtasks.tasks.step_boundary import at_step_boundary
from mmtasks.tasks.whole_checkpoints import WholeCheckpoints
from mmtasks.types import Batch, Facts, Modality
from tests.killed import Killed, RaiseAt, SignalAt
from tests.small import FACTS, small_batch

EPOCHS, BATCHES = 3, 5


class CountValidations(Callback):
    """At which steps validation ran."""

    def __init__(self) -> None:
        self.steps: list[int] = []

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        self.steps.append(trainer.global_step)


class SaveEach(Callback):
    """A checkpoint right after each step, whatever follows it."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if at_step_boundary(trainer):
            trainer.save_checkpoint(f"{trainer.default_root_dir}/{trainer.global_step}.ckpt", weights_only=False)


class SmallData(TaskData):
    """Pairs of a random picture and text, in batches of 2."""

    def __init__(self, seed: int = 0, *, workers: int = 0, batches: int = BATCHES) -> None:
        super().__init__()
        self.seed = seed
        self.num_workers = workers
        self.batches = batches

    def facts(self) -> Facts:
        return FACTS

    def describe_processors(self) -> dict[str, Any]:
        return {}

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        size = 2 * self.batches if shuffle else 2
        sampler = EpochSampler(size, shuffle=shuffle, seed=self.seed)
        samples = [index % size for index in range(20 * size)]  # keys count on from epoch to epoch
        persistent = shuffle and self.num_workers > 0
        return StatefulDataLoader(
            samples,
            2,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=persistent,
            collate_fn=_pairs,
        )


def _pairs(rows: list[int]) -> Batch:
    """Those rows of 16 fixed pairs."""
    batch = small_batch(16)
    inputs = {name: Modality(data[rows], mask[rows]) for name, (data, mask) in batch.inputs.items()}
    index = torch.arange(len(rows))
    return Batch(inputs, {"image_index": index, "text_index": index}, [str(row) for row in rows])


def _task(*names: str) -> TaskModule:
    """Dropout in every layer, so that the weights tell whether the random states went on."""
    seed_everything(0, verbose=False)
    encoders = {
        "image": ResNetEncoder(layers=[1], base_width=8, stem="small"),
        "text": TransformerText(dim=16, num_layers=1, num_heads=2, dropout=0.1),
    }
    backbone = Backbone(encoders, JointTransformer(1, num_heads=2, dropout=0.1), dim=16)
    return TaskModule(backbone, {name: ImageText() for name in names})


def _train(folder: Path, *callbacks: Callback, resume: Path | None = None, **options: Any) -> dict[str, torch.Tensor]:
    """The weights after training on SmallData, or on what ``data`` makes."""
    data = options.pop("data", SmallData)()
    trainer = Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=[ExactResume(), CheckpointEvery(1), *callbacks],
        plugins=[WholeCheckpoints()],
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"max_epochs": EPOCHS, **options},
    )
    task = _task(*getattr(data, "tasks", ["pairs"]))
    trainer.fit(task, data, ckpt_path=resume)
    return {name: value.clone() for name, value in task.state_dict().items()}


def _joint(workers: int = 0, sampling: type[Sampling] = OneTask) -> JointDataModule:
    """Two tasks of which one comes round earlier."""
    tasks = {"a": SmallData(1, workers=workers), "b": SmallData(2, workers=workers, batches=3)}
    return JointDataModule(tasks, sampling=sampling(), steps_per_epoch=BATCHES)


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


def _check(tmp_path: Path, steps: tuple[int, ...], **options: Any) -> None:
    whole = CountValidations()
    expected = _train(tmp_path / "whole", whole, **options)
    for step in steps:
        parts = CountValidations()
        with pytest.raises(Killed):
            _train(tmp_path / f"{step}", parts, RaiseAt(step), **options)
        last = tmp_path / f"{step}" / "checkpoints" / "last.ckpt"
        found = _train(tmp_path / f"{step}-resumed", parts, resume=last, **options)
        assert _same(expected, found), f"killed after step {step}"
        assert parts.steps == whole.steps, f"killed after step {step}"


def test_a_run_goes_on_only_with_as_many_workers(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        _train(tmp_path, RaiseAt(2), data=_joint)
    last = tmp_path / "checkpoints" / "last.ckpt"
    with pytest.raises(UserError, match="num_workers is 2, in the checkpoint's run it was 0: set it to 0 to go on"):
        _train(tmp_path / "on", resume=last, data=partial(_joint, workers=2))


def test_killed_within_an_epoch_and_at_its_end(tmp_path: Path) -> None:
    _check(tmp_path, (2, BATCHES, BATCHES + 1))


def test_killed_in_joint_training(tmp_path: Path) -> None:
    _check(tmp_path, (BATCHES, BATCHES + 2), data=_joint)


@pytest.mark.parametrize("sampling", [EveryTask, OneTask])
def test_killed_in_joint_training_at_the_end_of_a_limited_epoch(sampling: type[Sampling], tmp_path: Path) -> None:
    _check(tmp_path, (3,), data=partial(_joint, sampling=sampling), limit_train_batches=3)


def test_killed_where_the_end_is_a_step(tmp_path: Path) -> None:
    _check(tmp_path, (BATCHES,), max_epochs=-1, max_steps=2 * BATCHES + 2)


@pytest.mark.slow
@pytest.mark.parametrize("data", [SmallData, _joint])
def test_killed_with_two_workers(data: Any, tmp_path: Path) -> None:
    _check(tmp_path, (2, BATCHES, BATCHES + 1), data=partial(data, workers=2))


@pytest.mark.slow
def test_killed_between_accumulated_steps_and_validations(tmp_path: Path) -> None:
    _check(tmp_path, tuple(range(1, 3 * EPOCHS)), accumulate_grad_batches=2, val_check_interval=2)


@pytest.mark.slow
@pytest.mark.parametrize("data", [SmallData, _joint])
@pytest.mark.parametrize("options", [{}, {"accumulate_grad_batches": 2, "val_check_interval": 2}])
def test_any_step_can_be_gone_on_from(data: Any, options: dict[str, int], tmp_path: Path) -> None:
    """Also one that validation or the epoch's end follows."""
    expected = _train(tmp_path, SaveEach(), data=data, **options)
    steps = sorted(int(path.stem) for path in tmp_path.glob("*.ckpt"))[:-1]
    assert len(steps) > 2 * EPOCHS
    for step in steps:
        found = _train(tmp_path / "on", resume=tmp_path / f"{step}.ckpt", data=data, **options)
        assert _same(expected, found), f"from step {step}"


def test_a_stop_waits_for_accumulated_batches_and_validation(tmp_path: Path) -> None:
    """Steps end with batches 2, 4 and 5 of an epoch; validation follows batch 2."""
    options = {"accumulate_grad_batches": 2, "val_check_interval": 2}
    expected = _train(tmp_path / "whole", **options)
    with pytest.raises(Interrupted, match="stopped at step 3; go on with: mmtasks fit"):
        _train(tmp_path / "stopped", GracefulStop(), SignalAt(1, "SIGTERM"), **options)
    found = _train(tmp_path / "on", resume=tmp_path / "stopped" / "checkpoints" / "interrupted.ckpt", **options)
    assert _same(expected, found)


def test_without_random_states_the_weights_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = _train(tmp_path / "whole")
    with pytest.raises(Killed):
        _train(tmp_path / "killed", RaiseAt(2))
    monkeypatch.setattr(ExactResume, "_restore", lambda *_: None)
    found = _train(tmp_path / "resumed", resume=tmp_path / "killed" / "checkpoints" / "last.ckpt")
    assert not _same(expected, found)


def test_a_checkpoint_falls_only_between_steps(tmp_path: Path) -> None:
    seen = []

    class Watch(WholeCheckpoints):
        def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
            seen.append((checkpoint["global_step"], checkpoint["loops"]["fit_loop"]["epoch_loop.batch_progress"]))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("tests.tasks.test_resume.WholeCheckpoints", Watch)
        _train(tmp_path, accumulate_grad_batches=2)
    assert [step for step, _ in seen] == list(range(1, 3 * EPOCHS + 1))
    steps = itertools.chain.from_iterable([[2, 4, 5]] * EPOCHS)
    assert [progress["current"]["ready"] for _, progress in seen] == list(steps)
