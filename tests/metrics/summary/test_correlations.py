"""Correlations are scipy's, person by person, and defined where scipy's are not."""

import sys
import warnings

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from mmtasks.errors import UserError
from mmtasks.metrics.summary import correlations, kendall, spearman
from tests.metrics.summary.videos import flat_video, small_video

SCORES = np.random.default_rng(1).integers(0, 6, 12) / 5  # with ties


@pytest.mark.parametrize("people", [1, 2, 5])
@pytest.mark.parametrize("steps", [2, 12, 50])
def test_same_numbers_as_scipy(people: int, steps: int) -> None:
    generator = np.random.default_rng(10 * people + steps)
    scores = generator.integers(0, steps, steps) + np.eye(steps)[0] / 2
    given = generator.integers(1, 6, (people, steps)) + np.eye(steps)[-1] / 2
    given = given[np.ptp(given, axis=1) > 0]
    assert np.ptp(scores) > 0 and len(given) == people
    np.testing.assert_allclose(kendall(scores, given), [kendalltau(scores, one).statistic for one in given], rtol=1e-12)
    np.testing.assert_allclose(spearman(scores, given), [spearmanr(scores, one).statistic for one in given], rtol=1e-12)


def test_two_conventions_at_the_sampled_frames() -> None:
    video = small_video()
    assert video.user_scores is not None
    sampled = video.user_scores[:, video.picks]
    found = correlations(SCORES, video)
    assert found["tau"] == pytest.approx(np.mean([kendalltau(SCORES, one).statistic for one in sampled]))
    assert found["rho"] == pytest.approx(np.mean([spearmanr(SCORES, one).statistic for one in sampled]))
    assert found["tau_of_mean"] == pytest.approx(kendalltau(SCORES, sampled.mean(axis=0)).statistic)
    assert found["rho_of_mean"] == pytest.approx(spearmanr(SCORES, sampled.mean(axis=0)).statistic)
    assert abs(found["tau"] - found["tau_of_mean"]) > 0.01


def test_conventions_by_hand() -> None:
    # both people agree with 1 2 3 in two pairs of three; their mean 1, 2.5, 2.5 in two, and ties the third
    found = correlations(np.array([1, 2, 3]), flat_video([[1, 2, 3], [1, 3, 2]]))
    assert found["tau"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["tau_of_mean"] == pytest.approx(2 / np.sqrt(3 * 2))
    assert found["rho"] == pytest.approx((1 + 1 / 2) / 2)


def test_only_ranks_count() -> None:
    video = small_video()
    assert correlations(np.exp(3 * SCORES), video) == pytest.approx(correlations(SCORES, video))
    assert correlations(-SCORES, video)["tau"] == pytest.approx(-correlations(SCORES, video)["tau"])


def test_what_ranks_nothing_is_zero_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert set(correlations(np.full(12, 0.3), small_video()).values()) == {0.0}
        assert set(correlations(np.array([0.3]), flat_video([[2.0], [3.0]])).values()) == {0.0}
        assert set(correlations(np.arange(3), flat_video([[2, 2, 2]])).values()) == {0.0}


def test_a_person_who_ranks_nothing_counts_in_the_average() -> None:
    found = correlations(np.arange(3), flat_video([[1, 2, 3], [4, 4, 4]]))
    assert found["tau"] == found["rho"] == pytest.approx(0.5)
    assert found["tau_of_mean"] == pytest.approx(1)


def test_people_who_only_chose() -> None:
    chosen = [[1, 0, 0, 1], [1, 1, 0, 0], [1, 0, 0, 0]]
    scores = np.array([0.9, 0.5, 0.1, 0.2])
    found = correlations(scores, flat_video(chosen=chosen))
    assert found["tau"] == pytest.approx(np.mean([kendalltau(scores, one).statistic for one in chosen]))
    assert found["rho_of_mean"] == pytest.approx(spearmanr(scores, [3, 1, 0, 1]).statistic)


def test_scores_come_before_choices() -> None:
    both = flat_video([[1, 2, 3, 4]], [[1, 0, 0, 0]])
    assert correlations(np.arange(4), both)["tau"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("scores", "change", "message"),
    [
        (SCORES[1:], {}, r"shape \(11,\) must be one a pick, and picks have shape \(12,\)"),
        (SCORES[:, None], {}, r"shape \(12, 1\)"),
        (np.where(SCORES > 0.9, np.nan, SCORES), {}, "of 12 scores are not finite"),
        (SCORES[:0], {"picks": np.arange(0)}, "at least one frame"),
        (SCORES, {"user_scores": None, "user_summary": None}, "at least one person"),
        (SCORES, {"user_scores": np.ones((0, 38))}, "at least one person"),
        (SCORES, {"user_scores": np.ones((2, 37))}, r"\(2, 37\) must be \(people, 38\)"),
        (SCORES, {"user_scores": np.full((2, 38), np.inf)}, "user_scores must be finite"),
    ],
)
def test_what_does_not_fit_is_refused(scores: np.ndarray, change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        correlations(scores, small_video()._replace(**change))


def test_without_scipy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(UserError, match=r"pip install mmtasks\[video\]"):
        correlations(SCORES, small_video())
