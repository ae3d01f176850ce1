"""A task that keeps the contract passes, and each way to break it is named."""

from pathlib import Path

import pytest
import yaml

from mmtasks.distributed import is_grouped
from mmtasks.testing import check_task
from mmtasks.testing.processes import environment

OVERLAYS = Path(__file__).parents[2] / "configs" / "overlays"
HERE = "tests.testing.broken"
ENCODER = "--model.init_args.backbone.init_args.encoders.a.init_args.fault"
OBJECTIVE = "--model.init_args.objectives.regression.init_args.fault"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The small task."""
    linear = {"class_path": f"{HERE}.Linear", "init_args": {"fault": ""}}
    backbone = {
        "class_path": "mmtasks.backbone.Backbone",
        "init_args": {
            "dim": 8,
            "encoders": {"a": linear, "b": linear},
            "fusion": {"class_path": "mmtasks.fusion.mman.MMAN"},
        },
    }
    objectives = {"regression": {"class_path": f"{HERE}.Regression", "init_args": {"fault": ""}}}
    model = {
        "class_path": "mmtasks.tasks.base.TaskModule",
        "init_args": {"backbone": backbone, "objectives": objectives},
    }
    path = tmp_path / "numbers.yaml"
    path.write_text(yaml.safe_dump({"model": model, "data": {"class_path": f"{HERE}.NumberData"}}))
    return path


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (f"{ENCODER}=unused", "the weight backbone.encoders.a.spare.weight gets no gradient"),
        (f"{ENCODER}=forgets", "the checkpoint gives another model than was trained: encoded a differs"),
        (f"{ENCODER}=neighbour", "regression: a sample is another beside longer ones than alone: encoded a differs"),
        (f"{ENCODER}=nan", "where all samples of regression lack a, the gradient of backbone.encoders.a.layer"),
        (f"{OBJECTIVE}=empty", "regression: a sample that lacks b makes a NaN in output.score"),
        (f"{OBJECTIVE}=padding", "than alone: output.score differs"),
        (f"{OBJECTIVE}=absent", "where all samples of regression lack b, the weight objectives.regression.extra"),
        (f"{OBJECTIVE}=coupled", "than alone: output.score differs"),
        (f"{OBJECTIVE}=hidden", "Regression gives a Hidden, in which no tensor is found"),
        (f"{OBJECTIVE}=figure", "the figure val/error is nan"),
    ],
)
def test_what_is_broken_is_named(option: str, message: str, config: Path) -> None:
    with pytest.raises(AssertionError) as broken:
        check_task(config, options=[option], two_processes=False)
    assert message in str(broken.value)


@pytest.mark.parametrize("fault", [f"{ENCODER}=length", f"{OBJECTIVE}=padding"])
def test_padding_is_tried_where_all_samples_are_of_one_length(fault: str, config: Path) -> None:
    with pytest.raises(AssertionError, match="a sample is another"):
        check_task(config, options=["--data.init_args.equal=true", fault], two_processes=False)


def test_a_sound_task_passes_and_leaves_nothing_behind(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    check_task([config], two_processes=False)
    assert list(tmp_path.iterdir()) == [config]


@pytest.mark.slow
def test_a_sound_task_trains_with_two_processes(config: Path) -> None:
    check_task(config)


@pytest.mark.slow
def test_a_config_may_name_its_strategy(config: Path) -> None:
    check_task([config, OVERLAYS / "ddp.yaml"])


@pytest.mark.slow
def test_two_processes_train_one_task_a_step(config: Path) -> None:
    given = yaml.safe_load(config.read_text())
    model, data = given["model"]["init_args"], given["data"]
    model["objectives"] = {name: model["objectives"]["regression"] for name in ("one", "other")}
    joint = {"tasks": dict.fromkeys(model["objectives"], data), "steps_per_epoch": 4}
    joint["sampling"] = {"class_path": "mmtasks.data.sampling.OneTask"}
    given["data"] = {"class_path": "mmtasks.data.joint.JointDataModule", "init_args": joint}
    config.write_text(yaml.safe_dump(given))
    check_task(config)


def test_no_process_group_is_left(config: Path) -> None:
    check_task([config, OVERLAYS / "ddp.yaml"], two_processes=False)
    assert not is_grouped()


def test_another_process_does_not_join_the_run_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("MMTASKS_DATA", "data")
    found = environment()
    assert found["MMTASKS_DATA"] == "data"
    assert not {name for name in found if "RANK" in name or name.startswith(("MASTER_", "WORLD_"))}


@pytest.mark.slow
def test_a_task_that_two_processes_cannot_train_is_named(config: Path) -> None:
    with pytest.raises(AssertionError, match="two processes do not train"):
        check_task(config, options=[f"{OBJECTIVE}=two"])
