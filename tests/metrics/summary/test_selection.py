"""Scores of steps become scores of frames and shots, and the best shots within the budget."""

import numpy as np
import pytest

from mmtasks.metrics.summary import budget_frames, select
from mmtasks.metrics.summary.selection import evenly_spaced
from mmtasks.metrics.summary.timeline import frame_scores, shot_scores
from mmtasks.types import Annotation
from tests.metrics.summary.videos import small_video

SHOTS = np.array([[0, 3], [4, 5], [6, 9]])
VIDEO = Annotation(np.array([1, 4, 7]), 10, 2.0, SHOTS)
SCORES = np.array([0.1, 0.4, 0.7])


def test_a_frame_has_the_score_of_the_pick_before_it() -> None:
    assert frame_scores(SCORES, VIDEO).tolist() == [0.1] * 4 + [0.4] * 3 + [0.7] * 3
    np.testing.assert_allclose(shot_scores(SCORES, VIDEO), [0.1, 0.4, (0.4 + 3 * 0.7) / 4])


def test_of_two_picks_of_one_frame_the_last_counts() -> None:
    video = VIDEO._replace(picks=np.array([0, 4, 4]))
    assert frame_scores(SCORES, video).tolist() == [0.1] * 4 + [0.7] * 6


@pytest.mark.parametrize(
    ("budget", "shots"),
    [
        ({"ratio": 0.2}, [1]),
        ({"ratio": 0.59}, [2]),  # 5.9 frames are 5
        ({"ratio": 0.6}, [1, 2]),
        ({"ratio": 1.0}, [0, 1, 2]),
        ({"seconds": 3}, [1, 2]),
        ({"seconds": 100}, [0, 1, 2]),
        ({}, []),  # one frame and a half of ten: no shot fits
    ],
)
def test_best_shots_within_the_budget(budget: dict[str, float], shots: list[int]) -> None:
    chosen = select(SCORES, VIDEO, **budget)  # type: ignore[arg-type]
    assert chosen.shots.tolist() == shots
    assert chosen.mask.dtype == bool
    assert chosen.mask.nonzero()[0].tolist() == [f for s in shots for f in range(SHOTS[s, 0], SHOTS[s, 1] + 1)]


def test_a_shot_counts_by_its_mean_or_by_its_sum() -> None:
    # two shots of 0.4 and 0.3 beat one of 0.6 that is as long as both, until length counts
    video = Annotation(np.array([0, 2, 4]), 8, 1.0, np.array([[0, 1], [2, 3], [4, 7]]))
    scores = np.array([0.4, 0.3, 0.6])
    assert select(scores, video, ratio=0.5).shots.tolist() == [0, 1]
    assert select(scores, video, ratio=0.5, worth="mean").shots.tolist() == [0, 1]
    assert select(scores, video, ratio=0.5, worth="sum").shots.tolist() == [2]


def test_a_budget_of_time_where_frames_do_not_come_evenly() -> None:
    # the first half of the frames lasts 9 of 10 seconds
    video = Annotation(np.array([0, 2, 4, 6]), 8, 0.8, np.array([[0, 1], [2, 3], [4, 5], [6, 7]]))
    scores, lengths = np.array([0.9, 0.8, 0.2, 0.1]), np.array([4.5, 4.5, 0.5, 0.5])
    assert select(scores, video, ratio=0.25).shots.tolist() == [0]
    assert select(scores, video, ratio=0.25, lengths=lengths).shots.tolist() == [2, 3]
    assert select(scores, video, seconds=5, lengths=lengths, worth="sum").shots.tolist() == [0, 2]
    assert select(scores, video, seconds=100, lengths=lengths).shots.tolist() == [0, 1, 2, 3]
    for wrong in (lengths[:3], -lengths, lengths * np.nan):
        with pytest.raises(ValueError, match="must be seconds above 0 of each of 4 shots"):
            select(scores, video, ratio=0.25, lengths=wrong)


def test_shots_without_worth_are_never_chosen() -> None:
    assert select(np.array([-0.1, 0.0, 0.1]), VIDEO, ratio=1.0).shots.tolist() == [2]


@pytest.mark.parametrize("ratio", [0.15, 0.4, 0.99])
def test_never_above_the_budget(ratio: float) -> None:
    for seed in range(20):
        video = small_video(seed)
        chosen = select(np.random.default_rng(seed).random(12), video, ratio=ratio)
        for mask in (chosen.mask, evenly_spaced(video, ratio=ratio)):
            assert mask.shape == (video.n_frames,)
            assert mask.sum() <= budget_frames(video, ratio=ratio) == int(ratio * video.n_frames)


@pytest.mark.parametrize(
    ("budget", "message"),
    [
        ({"ratio": 0}, "ratio 0 must be above 0 and at most 1"),
        ({"ratio": 1.01}, "ratio 1.01"),
        ({"ratio": float("nan")}, "ratio nan"),
        ({"seconds": 0}, "seconds 0 must be above 0"),
        ({"seconds": float("nan")}, "seconds nan"),
        ({"ratio": 0.5, "seconds": 3}, "give one of them"),
        ({"worth": "median"}, r"worth 'median' is none of \['mean', 'sum'\]"),
    ],
)
def test_wrong_budgets_are_refused(budget: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(SCORES, VIDEO, **budget)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"change_points": SHOTS[:2]}, "cover the frames 0 to 9"),
        ({"change_points": SHOTS[1:]}, "cover the frames"),
        ({"change_points": SHOTS + [[0, 1]]}, "cover the frames"),  # noqa: RUF005
        ({"change_points": SHOTS[::-1]}, "cover the frames"),
        ({"change_points": SHOTS[:0]}, "cover the frames"),
        ({"picks": np.array([0, 5, 3])}, "picks must rise"),
        ({"picks": np.array([0, 5, 10])}, "at most 9, the last frame"),
        ({"picks": np.array([-1, 5, 9])}, "picks must rise"),
    ],
)
def test_a_video_that_does_not_fit_itself_is_refused(change: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        select(SCORES, VIDEO._replace(**change), ratio=0.5)


def test_pieces_of_the_uniform_summary() -> None:
    video = Annotation(np.arange(20), 20, 1.0, np.stack([np.arange(0, 20, 2), np.arange(1, 20, 2)], axis=1))
    # three frames hold one shot and a half: one piece, in the middle; eight frames hold four
    assert evenly_spaced(video, ratio=0.15).nonzero()[0].tolist() == [8, 9, 10]
    assert evenly_spaced(video, ratio=0.4).nonzero()[0].tolist() == [1, 2, 6, 7, 11, 12, 16, 17]
    assert evenly_spaced(video, ratio=1.0).all()
    assert not evenly_spaced(video, ratio=0.01).any()
