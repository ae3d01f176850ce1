"""Windows of motion: made up, read from files, and in batches."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from activity.data import ActivityDataModule, Descriptions, MotionProcessor
from activity.encoder import GRAVITY
from activity.rows import MotionManifest, MotionSource
from activity.simulated import ACTIVITIES, RATE, SimulatedMotion
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.errors import UserError

SHORT = (1.0, 2.0)


def module(test: MotionSource | None = None, *, descriptions: Descriptions | None = None) -> ActivityDataModule:
    """Walking and sitting to learn from, all activities to report on."""
    known = SimulatedMotion("train", number=6, activities=["walking", "sitting"], seconds=SHORT)
    test = test or SimulatedMotion("test", number=9, seconds=SHORT)
    text = TextProcessor(WordTokenizer())
    data = ActivityDataModule(known, known, test=test, text=text, descriptions=descriptions, batch_size=2)
    data.setup()
    return data


def test_no_person_is_in_two_splits_and_a_window_is_the_same_again() -> None:
    people = [{row.subject for row in SimulatedMotion(split, number=200)} for split in ("train", "val", "test")]
    assert not (people[0] & people[1] or people[0] & people[2] or people[1] & people[2])
    one, again = (SimulatedMotion("val", number=3)[2] for _ in range(2))
    assert one.id == again.id
    np.testing.assert_array_equal(one.load(), again.load())


@pytest.mark.parametrize("activity", ["walking", "running"])
def test_the_cadence_is_in_the_signal_however_the_device_is_turned(activity: str) -> None:
    for row in SimulatedMotion("train", number=5, activities=[activity], seconds=(6.0, 6.0)):
        strength = np.linalg.norm(row.load()[:, :3], axis=1) - GRAVITY
        spectrum = np.abs(np.fft.rfft(strength * np.hanning(len(strength))))
        frequency = np.fft.rfftfreq(len(strength), 1 / RATE)
        found = frequency[spectrum.argmax()] / ACTIVITIES[activity].cadence
        assert min(abs(found - harmonic) for harmonic in (1, 2)) < 0.4


def test_training_chooses_among_trained_activities_and_evaluation_among_all() -> None:
    data = module()
    train, test = next(iter(data.train_dataloader())), next(iter(data.test_dataloader()))
    assert len(train.inputs["text"].data) == 2 * 2
    assert len(test.inputs["text"].data) == 9 * 9
    assert train.target["trained"].all()
    names = list(data.datasets["test"].options)
    known = torch.tensor([names[answer] in ("walking", "sitting") for answer in test.target["answer"]])
    assert torch.equal(test.target["trained"], known)


def test_training_draws_a_way_to_say_it_and_evaluation_takes_the_first() -> None:
    ways = {name: [f"usual {name}", f"other {name}"] for name in ACTIVITIES}
    data = module(descriptions=ways)
    usual = data.text("usual walking")
    train, test = data.datasets["train"], data.datasets["test"]
    assert {torch.equal(train[key].options[0], usual) for key in range(20)} == {True, False}
    assert all(torch.equal(test[key].options[0], usual) for key in range(20))


def test_steps_come_at_one_rate() -> None:
    time = np.arange(200) / 100
    steps = np.tile(np.sin(2 * np.pi * time)[:, None], 6).astype(np.float32)
    found = MotionProcessor(50.0)(steps, rate=100.0)
    torch.testing.assert_close(found[:, 0], torch.sin(2 * torch.pi * torch.arange(100) / 50), rtol=0, atol=1e-5)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One window as ``.npy``, the same as ``.csv`` under names, and files that are neither."""
    steps = SimulatedMotion("test", number=1, seconds=SHORT)[0].load()
    np.save(tmp_path / "1.npy", steps)
    np.savetxt(tmp_path / "2.csv", steps, delimiter=",", header="ax,ay,az,gx,gy,gz", comments="")
    np.save(tmp_path / "flat.npy", steps[:, :3])
    (tmp_path / "text.csv").write_text("a,b\nc,d\n")
    (tmp_path / "cut.npy").write_bytes((tmp_path / "1.npy").read_bytes()[:40])
    np.save(tmp_path / "nan.npy", np.full((9, 6), np.nan))
    return tmp_path


def manifest(folder: Path, *files: str, **more: object) -> MotionManifest:
    """A row for each file."""
    rows = [{"id": name, "motion": name, "activity": "walking", **more} for name in files]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return MotionManifest(str(folder / "rows.jsonl"))


def test_a_manifest_reads_both_kinds_of_files(folder: Path) -> None:
    one, two = manifest(folder, "1.npy", "2.csv", rate=100, subject="anna")
    assert (one.rate, one.subject, one.activity) == (100.0, "anna", "walking")
    np.testing.assert_allclose(one.load(), two.load(), rtol=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("flat.npy", "it must be (steps, 6)"),
        ("text.csv", "is neither a .npy of numbers nor a .csv of them"),
        ("cut.npy", "is neither a .npy of numbers nor a .csv of them"),
        ("nan.npy", "not a finite number"),
        ("none.npy", "no such file"),
    ],
)
def test_a_broken_file_is_named(name: str, message: str, folder: Path) -> None:
    with pytest.raises(UserError, match="rows.jsonl:2: ") as told:
        module(manifest(folder, "1.npy", name))
    assert message in str(told.value)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"rate": -1}, "rate -1 is no number of steps a second above 0"),
        ({"rate": "fast"}, "rate 'fast' is no number"),
        ({"activity": ""}, "activity is ''; write a text"),
        ({"motion": "../1.npy"}, "leaves the manifest's folder"),
    ],
)
def test_a_bad_row_is_named(row: dict[str, object], message: str, folder: Path) -> None:
    with pytest.raises(UserError, match="rows.jsonl:1: ") as told:
        manifest(folder, "1.npy", **row)
    assert message in str(told.value)


def test_an_activity_that_is_not_described_is_named() -> None:
    with pytest.raises(UserError, match="motion-test:4: activity 'running' is not described"):
        module(descriptions={name: [name] for name in ACTIVITIES if not name.startswith("running")})
