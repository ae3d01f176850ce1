"""Kernel temporal segmentation against its definition."""

import os
from pathlib import Path

import numpy as np
import pytest

from mmtasks.data import shots
from mmtasks.data.shots import change_points, frame_shots, video_shots


def planted(lengths, *, width=16, noise=0.3, seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.standard_normal((len(lengths), width)), lengths, axis=0)
    return centres + noise * rng.standard_normal(centres.shape)


def by_definition(features: np.ndarray, penalty: float, most: int) -> tuple[float, int]:
    """Least scatter and penalty over all numbers of boundaries up to ``most``, and that number: dynamic programming."""
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    steps = len(units)
    costs = np.full((steps + 1, steps + 1), np.inf)
    for start in range(steps):
        for end in range(start + 1, steps + 1):
            part = units[start:end]
            costs[start, end] = ((part - part.mean(axis=0)) ** 2).sum()
    best, found = costs[0], []
    for count in range(most + 1):
        price = penalty * count / 2 * (np.log(steps / count) + 1) if count else 0
        found.append(best[steps] + price)
        best = np.array([np.min(best[: end + 1] + costs[: end + 1, end]) for end in range(steps + 1)])
    return min(found), int(np.argmin(found))


def criterion(features: np.ndarray, found: np.ndarray, penalty: float) -> float:
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    scatter = sum(((part - part.mean(axis=0)) ** 2).sum() for part in (units[a : b + 1] for a, b in found))
    count = len(found) - 1
    return scatter + (penalty * count / 2 * (np.log(len(units) / count) + 1) if count else 0)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("penalty", [0.3, 1.0, 3.0])
def test_the_least_of_the_criterion_is_found(seed, penalty):
    features = planted([7, 3, 12, 1, 9, 8], noise=0.2 + 0.2 * seed, seed=seed)
    least, count = by_definition(features, penalty, len(features) - 1)
    found = change_points(features, penalty=penalty, max_shots=len(features))
    assert criterion(features, found, penalty) == pytest.approx(least, rel=1e-5)
    assert len(found) == count + 1


def test_planted_shots_are_found_whatever_the_scale():
    features = planted([20, 5, 30, 11])
    starts = change_points(features)[:, 0].tolist()
    assert starts == [0, 20, 25, 55]
    brightness = np.random.default_rng(1).uniform(0.1, 9, (66, 1))
    assert change_points(features * brightness)[:, 0].tolist() == starts


def test_a_higher_penalty_gives_no_more_shots():
    features = planted([5] * 8, noise=0.8)
    numbers = [len(change_points(features, penalty=p)) for p in (0.1, 0.5, 1, 2, 5, 50)]
    assert numbers == sorted(numbers, reverse=True)
    assert numbers[-1] == 1


@pytest.mark.parametrize("most", [1, 2, 3, 5])
def test_no_more_shots_than_asked_for(most):
    found = change_points(planted([9] * 6), max_shots=most)
    assert len(found) <= most
    assert (found[0, 0], found[-1, 1]) == (0, 53)


@pytest.mark.parametrize("features", [np.ones((1, 4)), np.ones((2, 4)), np.ones((30, 4)), np.zeros((30, 4))])
def test_nothing_changes_nothing_is_cut(features):
    assert change_points(features).tolist() == [[0, len(features) - 1]]


def test_black_between_scenes_is_a_shot_of_its_own():
    features = planted([8, 8, 8])
    features[8:16] = 0
    assert change_points(features)[:, 0].tolist() == [0, 8, 16]


def test_long_videos_take_bounded_memory_and_still_cut(monkeypatch):
    features = planted([20, 30, 15, 35])
    exact = change_points(features)
    monkeypatch.setattr(shots, "BAND", 4000)  # 40 steps at most
    monkeypatch.setattr(shots, "BLOCK", 16)
    assert shots._costs(features.astype(np.float32), None).shape == (100, 40)
    np.testing.assert_array_equal(change_points(features), exact)
    still = change_points(np.ones((100, 4)))
    assert (still[:, 1] - still[:, 0]).max() < 40
    assert still[-1, 1] == 99


def test_a_single_take_still_has_shots_that_fit_a_summary():
    found = video_shots(np.ones((55, 4)), 3 * np.arange(55), 165)
    assert (found[0, 0], found[-1, 1]) == (0, 164)
    assert (found[:, 1] - found[:, 0] + 1).max() <= 18
    planted_there = planted([5] * 11)
    assert video_shots(planted_there, np.arange(55), 55)[:, 0].tolist() == list(range(0, 55, 5))
    for steps in (1, 2, 3):
        assert video_shots(np.ones((steps, 4)), np.arange(steps), steps)[-1, 1] == steps - 1


def test_shots_in_frames_cover_the_video_once():
    picks = np.array([3, 10, 17, 25, 40])
    found = frame_shots(np.array([[0, 0], [1, 3], [4, 4]]), picks, 50)
    assert found.tolist() == [[0, 9], [10, 39], [40, 49]]


@pytest.mark.parametrize(
    ("features", "options", "named"),
    [
        (np.zeros((0, 4)), {}, "shape"),
        (np.zeros(4), {}, "shape"),
        (np.full((3, 2), np.nan), {}, "not numbers"),
        (np.ones((3, 2)), {"max_shots": 0}, "max_shots 0"),
        (np.ones((3, 2)), {"longest": 0}, "longest 0"),
        (np.ones((3, 2)), {"penalty": 0}, "penalty 0"),
    ],
)
def test_bad_arguments_are_named(features, options, named):
    with pytest.raises(ValueError, match=named):
        change_points(features, **options)


TVSUM = Path(os.path.expandvars("$MMTASKS_DATA/tvsum/tvsum_efficientnet_lite0.h5"))


@pytest.mark.slow
@pytest.mark.skipif(not TVSUM.is_file(), reason="needs MMTASKS_DATA/tvsum")
def test_shots_of_tvsum_are_those_of_the_authors_code():
    import h5py

    with h5py.File(TVSUM) as file:
        for name, group in file.items():
            found = frame_shots(change_points(group["features"][()]), group["picks"][()], int(group["n_frames"][()]))
            np.testing.assert_array_equal(found, group["change_points"][()], err_msg=name)
