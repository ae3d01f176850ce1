"""Reading structured h5: parts of a fold, targets, and every fault named in one line."""

import json
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from mmtasks.data.summary import SummaryDataModule
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.errors import UserError
from tests.small_video import group_of, write_h5, write_splits


def ids(source: SummaryH5) -> set[str]:
    return {row.id for row in source}


def test_all_videos_with_what_people_said(tmp_path: Path) -> None:
    source = SummaryH5(str(write_h5(tmp_path / "a.h5", 3)))
    assert [row.id for row in source] == ["video_1", "video_2", "video_3"]
    row, truth = source[1], group_of(1)
    np.testing.assert_array_equal(row.load().numpy(), truth["features"].astype(np.float32))
    np.testing.assert_array_equal(row.annotation.user_scores, truth["user_scores"])
    np.testing.assert_array_equal(row.target, truth["gtscore"])
    assert row.title == "a film about number 1"
    assert row.annotation.fps == 20.0


def test_places_of_steps_are_kept_and_counted(tmp_path: Path) -> None:
    places = np.random.default_rng(0).standard_normal((12, 4, 6)).astype(np.float32)
    source = SummaryH5(str(write_h5(tmp_path / "a.h5", 1, features=places)))
    assert torch.equal(source[0].load(), torch.from_numpy(places))
    data = SummaryDataModule(source, source)
    data.setup()
    facts = data.facts()["video"]
    assert (facts["width"], facts["places"]) == (6, 4)
    np.testing.assert_allclose(facts["mean"], places.mean(axis=(0, 1)), atol=1e-6)
    assert next(iter(data.train_dataloader())).inputs["video"].data.shape == (1, 12, 4, 6)


@pytest.mark.parametrize("odd", ["video_1", "video_2"])
def test_a_video_of_other_steps_than_most_is_left_out(tmp_path: Path, odd: str) -> None:
    path = write_h5(tmp_path / "a.h5", 3)
    with h5py.File(path, "a") as file:
        del file[f"{odd}/features"]
        file[f"{odd}/features"] = np.zeros((12, 4, 6))
    source = SummaryH5(str(path))
    assert ids(source) == {"video_1", "video_2", "video_3"} - {odd}
    [problem] = source.problems
    assert f"a.h5:{odd}: features of 4 x 6 a step, but of 6 in most videos" in problem


def test_parts_of_a_fold_share_no_video_and_leave_none_out(tmp_path: Path) -> None:
    path, splits = str(write_h5(tmp_path / "a.h5")), str(write_splits(tmp_path / "splits.json"))
    for fold in (0, 1):
        train, val, test = (ids(SummaryH5(path, splits=splits, fold=fold, part=p)) for p in ("train", "val", "test"))
        assert len(train) + len(val) + len(test) == len(train | val | test) == 10
        assert test == set(json.loads(Path(splits).read_text())[fold]["test"])
        assert len(val) == 1
    assert len(SummaryH5(path, splits=splits, part="val", val_share=0.4)) == 2


def test_without_splits_all_videos_are_for_training(tmp_path: Path) -> None:
    path = str(write_h5(tmp_path / "a.h5"))
    train, val, both = (ids(SummaryH5(path, part=part)) for part in ("train", "val", "all"))
    assert (len(train), len(val)) == (8, 2)
    assert train | val == both


def test_people_of_equal_taste_and_other_scales_count_alike_by_rank(tmp_path: Path) -> None:
    timid, bold = np.repeat(np.arange(12) % 4 / 8 + 2, 10), np.repeat((11 - np.arange(12)) % 4 + 1.0, 10)
    path = str(write_h5(tmp_path / "a.h5", 1, user_scores=np.stack([timid, bold])))
    rank, mean = (SummaryH5(path, target=kind)[0].target for kind in ("rank", "mean"))
    assert np.ptp(rank) < 1e-5  # opposite tastes cancel
    assert np.corrcoef(mean, bold[::10])[0, 1] > 0.99  # here the bold one drowns the timid one


def test_a_video_that_nobody_judged_has_no_target(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", 1, gtscore=None, user_scores=None, user_summary=None)
    assert SummaryH5(str(path))[0].target is None


@pytest.mark.parametrize("target", ["gtscore", "mean", "rank"])
def test_rows_of_no_people_are_nobody(tmp_path: Path, target: str) -> None:
    nobody = np.zeros((0, 120))
    path = write_h5(tmp_path / "a.h5", 2, gtscore=None, user_scores=nobody, user_summary=nobody)
    row, other = SummaryH5(str(path), target=target)
    assert row.target is None
    assert (row.annotation.has_people, other.annotation.has_people) == (False, True)
    assert not row.annotation._replace(user_scores=nobody).has_people
    path = write_h5(tmp_path / "b.h5", 1, gtscore=None, user_scores=nobody)
    np.testing.assert_allclose(SummaryH5(str(path), target="mean")[0].target.max(), 1)  # by those who chose


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": None}, "has no 'features'"),
        ({"change_points": None}, "has no 'change_points'"),
        ({"features": np.full((12, 6), np.nan)}, "features has values that are not numbers"),
        ({"features": np.zeros((11, 6))}, "picks names 12 steps"),
        ({"features": np.zeros((11, 4, 6))}, "picks names 12 steps"),
        ({"features": np.zeros((12, 2, 2, 6))}, "features has shape"),
        ({"features": np.zeros((12, 0))}, r"features has shape \(12, 0\), which holds no number"),
        ({"features": np.zeros((12, 0, 6))}, r"features has shape \(12, 0, 6\), which holds no number"),
        ({"sound": np.zeros((12, 0))}, r"sound has shape \(12, 0\), which holds no number"),
        ({"sound": np.zeros((12, 4, 2))}, "sound has shape"),
        ({"sound": np.full((12, 2), np.nan)}, "sound has values that are not numbers"),
        ({"sound": np.zeros((11, 2))}, "sound has shape .*, but picks names 12 steps"),
        ({"picks": np.arange(0, 240, 20)}, "picks must ascend within 0 and 119"),
        ({"picks": np.arange(110, -1, -10)}, "picks must ascend"),
        ({"picks": np.zeros((0,), dtype=int)}, "picks has shape"),
        ({"change_points": np.array([[0, 59], [50, 119]])}, "change_points overlap"),
        ({"change_points": np.array([[0, 130]])}, "reach to frame 130"),
        ({"change_points": np.array([[0, 50], [52, 119]])}, "change_points leave frames out"),
        ({"change_points": np.array([[0, 100]])}, "change_points leave frames out"),
        ({"change_points": np.zeros((0, 2), dtype=int)}, "change_points has shape"),
        ({"user_scores": np.zeros((3, 50))}, "user_scores has shape"),
        ({"gtscore": np.zeros(5)}, "gtscore has shape"),
        ({"gtscore": np.full(12, 3.0)}, "gtscore must lie within 0 and 1"),
        ({"gtscore": np.full(12, np.nan)}, "gtscore must lie within 0 and 1"),
        ({"user_scores": np.full((3, 120), np.nan)}, "user_scores has values that are not numbers"),
        ({"seconds": np.arange(11.0)}, "seconds has shape"),
        ({"seconds": np.zeros(12)}, "seconds must ascend"),
        ({"seconds": np.full(12, np.nan)}, "seconds must ascend"),
        ({"fps": np.nan}, "fps is nan; give the frames a second"),
        ({"fps": np.inf}, "fps is inf"),
        ({"fps": -25.0}, r"fps is -25\.0"),
        ({"n_frames": "many"}, "cannot be read"),
    ],
)
def test_a_faulty_video_is_left_out_and_named_by_file_id_and_key(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    source = SummaryH5(str(write_h5(tmp_path / "a.h5", 3, **changes)))
    assert [row.id for row in source] == ["video_2", "video_3"]
    [problem] = source.problems
    assert re.search(rf"a\.h5:video_1: .*{message}", problem)
    assert "\n" not in problem


def test_faulty_videos_are_counted_in_their_part_alone(tmp_path: Path) -> None:
    path, splits = str(write_h5(tmp_path / "a.h5", features=None)), str(write_splits(tmp_path / "splits.json"))
    train, val, test = (SummaryH5(path, splits=splits, part=part) for part in ("train", "val", "test"))
    assert [len(part.problems) for part in (train, val, test)] == [0, 0, 1]
    assert len(test) == 4
    with pytest.raises(UserError, match=r"1 broken rows, but max_bad_fraction 0.01 .*a\.h5:video_1: has no 'features'"):
        SummaryDataModule(train, val, test=test).setup()
    data = SummaryDataModule(train, val, test=test, max_bad_fraction=0.2)
    data.setup()
    assert len(data.datasets["test"]) == 4


def test_what_is_no_group_is_left_out(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", 2)
    with h5py.File(path, "a") as file:
        file["notes"] = "made in spring"
        file["gone"] = h5py.SoftLink("/nowhere")
    source = SummaryH5(str(path))
    assert ids(source) == {"video_1", "video_2"}
    assert len(source.problems) == 2


def test_times_of_steps_are_read_where_they_are_told(tmp_path: Path) -> None:
    first, second = SummaryH5(str(write_h5(tmp_path / "a.h5", 2, seconds=np.arange(12) / 4)))
    np.testing.assert_array_equal(first.seconds, np.arange(12) / 4)
    assert second.seconds is None


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ([{"train": ["video_1", "video_9"], "test": ["video_2"]}], "names 'video_9' in train"),
        ([{"train": ["video_1"], "test": ["video_1"]}], "'video_1' in both train and test"),
        ([{"train": ["video_1"]}], "no list 'test'"),
        ([{"train": ["video_1", "video_1"], "test": ["video_2"]}], "fold 0 names 'video_1' twice in train"),
        ([{"train": [["video_1"]], "test": ["video_2"]}], r'fold 0 has \["video_1"\] in train, which is no id'),
        ([{"train": [1], "test": ["video_2"]}], "fold 0 has 1 in train, which is no id"),
        ([{"train": ["video_1"], "test": ["video_2"]}, {"test": ["video_2"]}], "fold 1 has no list 'train'"),
        ([], "give a list with a fold each"),
        ({"train": []}, "give a list with a fold each"),
    ],
)
def test_faulty_splits_are_named(tmp_path: Path, splits: Any, message: str) -> None:
    path, file = write_h5(tmp_path / "a.h5", 2), tmp_path / "splits.json"
    file.write_text(json.dumps(splits))
    with pytest.raises(UserError, match=rf"splits\.json: .*{message}"):
        SummaryH5(str(path), splits=str(file), part="train")


def test_a_fold_that_is_not_there_is_named(tmp_path: Path) -> None:
    path, splits = write_h5(tmp_path / "a.h5", 4), write_splits(tmp_path / "splits.json", 4)
    for fold in (-1, 2):
        with pytest.raises(UserError, match=rf"splits\.json: fold {fold} is not among its 2; count from 0"):
            SummaryH5(str(path), splits=str(splits), fold=fold, part="train")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(b"not hdf")
    for path, message in ((tmp_path / "none.h5", "no such file"), (broken, "not a readable h5 file")):
        with pytest.raises(UserError, match=message):
            SummaryH5(str(path))
    whole = write_h5(tmp_path / "a.h5", 2)
    with pytest.raises(UserError, match="not a readable JSON file"):
        SummaryH5(str(whole), splits=str(broken), part="val")
    with pytest.raises(UserError, match="NO_SUCH_PLACE is not set"):
        SummaryH5(str(whole), splits="$NO_SUCH_PLACE/splits.json", part="val")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"part": "dev"}, "part 'dev'"), ({"part": "test"}, "needs splits"), ({"target": "x"}, "target 'x'")],
)
def test_bad_arguments_are_named(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SummaryH5(str(tmp_path / "a.h5"), **options)
