"""F-scores by hand."""

import numpy as np
import pytest

from mmtasks.metrics.summary import f_scores, figures
from tests.metrics.summary.videos import flat_video


def test_harmonic_mean_of_precision_and_recall() -> None:
    mask = np.array([1, 1, 1, 0, 0, 0], dtype=bool)
    people = np.array([[1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1], [1, 1, 1, 1, 1, 1], [0] * 6])
    precision, recall = 1 / 3, 1 / 2
    second = 2 * precision * recall / (precision + recall)
    np.testing.assert_allclose(f_scores(mask, people), [1, second, 0, 2 / 3, 0])


def test_empty_against_empty_is_zero() -> None:
    assert f_scores(np.zeros(3), np.zeros((2, 3))).tolist() == [0, 0]


def test_mean_over_people_and_best_person() -> None:
    video = flat_video(chosen=[[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])
    found = figures(np.array([0.9, 0.8, 0.1, 0.2]), video, ratio=0.5)
    assert found["f_mean"] == pytest.approx((1 + 1 / 2 + 0) / 3)
    assert found["f_max"] == 1


def test_no_f_score_without_summaries() -> None:
    assert list(figures(np.arange(4), flat_video([[1, 2, 3, 4]]))) == ["tau", "rho", "tau_of_mean", "rho_of_mean"]


@pytest.mark.parametrize("people", [np.zeros((2, 4)), np.zeros((0, 3)), np.zeros(3)])
def test_other_shapes_are_refused(people: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"of the frames of mask \(3,\)"):
        f_scores(np.ones(3), people)
