"""The task keeps the contract, alone and beside three others, and learns."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from mmtasks.tasks.trained import train_and_test
from mmtasks.testing import check_task

HERE = Path(__file__).parents[1]
CONFIG, JOINT = HERE / "activity.yaml", HERE / "joint.yaml"
THREE = HERE.parents[1] / "configs" / "joint.yaml"
PLACES = [
    (("model", "init_args", "backbone", "init_args", "encoders"), "motion"),
    (("model", "init_args", "objectives"), "activity"),
    (("data", "init_args", "tasks"), "activity"),
]
"""Where a joint config names the three files of a task."""
SPLITS = ("train", "val", "test")


def tiny(data: str) -> list[str]:
    """Options that cut the windows down to a few short ones."""
    options = [f"--{data}.{split}.init_args.number=9" for split in SPLITS]
    options += [f"--{data}.{split}.init_args.seconds=[1, 2]" for split in SPLITS]
    return [*options, f"--{data}.batch_size=4"]


def test_the_task_keeps_the_contract() -> None:
    check_task(CONFIG, options=tiny("data.init_args"), two_processes=False)


@pytest.mark.slow
def test_two_processes_train_the_task() -> None:
    check_task(CONFIG, options=tiny("data.init_args"))


def test_the_joint_config_adds_one_task_to_the_three_that_ship() -> None:
    joint, three, alone = (yaml.safe_load(path.read_text()) for path in (JOINT, THREE, CONFIG))
    added = [named(joint, *place).pop(key) for place, key in PLACES]
    assert [named(joint, *place) for place, _ in PLACES] == [named(three, *place) for place, _ in PLACES]
    own = [named(alone, *PLACES[0][0])["motion"], named(alone, *PLACES[1][0])["activity"], alone["data"]]
    added[2]["init_args"].pop("text"), own[2]["init_args"].pop("text")
    assert added == own


@pytest.mark.slow
def test_it_trains_beside_three_other_tasks() -> None:
    options = tiny("data.init_args.tasks.activity.init_args")
    for task, number in (("image_text", 8), ("transcription", 8), ("summary", 2)):
        options += [f"--data.init_args.tasks.{task}.init_args.{s}.init_args.number={number}" for s in SPLITS]
    options += ["--data.init_args.tasks.image_text.init_args.batch_size=4"]
    check_task(JOINT, options=options, two_processes=False)


@pytest.mark.slow
def test_it_names_what_people_do_whom_it_never_saw(tmp_path: Path) -> None:
    options = ["--trainer.max_epochs=3", "--trainer.enable_progress_bar=false"]
    trained = train_and_test([CONFIG], *options, f"--trainer.default_root_dir={tmp_path}")
    assert trained.figures["accuracy"] > 0.7


def named(config: dict[str, Any], *keys: str) -> dict[str, Any]:
    """What stands below these keys."""
    for key in keys:
        config = config[key]
    return config
