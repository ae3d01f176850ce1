"""The rows beside a model's: chance, no choice, people."""

import numpy as np
import pytest
from scipy.stats import kendalltau, spearmanr

from mmtasks.metrics.summary import FIGURES, controls
from tests.metrics.summary.videos import flat_video, small_video

PEOPLE = [[1, 2, 3, 4], [1, 3, 2, 4], [4, 2, 1, 1]]


def test_rows_have_the_names_of_all_figures() -> None:
    rows = controls([small_video(seed) for seed in range(3)], draws=2)
    assert list(rows) == ["random", "uniform", "humans"]
    assert all(list(row) == list(FIGURES) for row in rows.values())


def test_chance_is_no_correlation_and_the_same_for_the_same_seed() -> None:
    videos = [small_video(seed, steps=40, chosen=False) for seed in range(5)]
    row = controls(videos, draws=10)["random"]
    # 50 draws; of one, the standard deviation is at most 0.16
    assert all(abs(value) < 0.08 for value in row.values())
    assert row == controls(videos, draws=10)["random"] != controls(videos, draws=10, seed=1)["random"]


def test_random_summaries_overlap_by_chance() -> None:
    # pieces of two frames of twenty, one of which everybody chose: in a tenth of the draws it is the right one
    chosen = [[0] * 6 + [1, 1] + [0] * 12] * 2
    row = controls([flat_video(chosen=chosen)], draws=200, ratio=0.1)["random"]
    assert row["f_mean"] == row["f_max"] == pytest.approx(0.1, abs=0.07)


def test_uniform_has_no_correlation_by_definition() -> None:
    chosen = [[0, 1, 1, 0, 0, 0], [0, 0, 1, 1, 0, 0]]
    row = controls([flat_video([[1, 2, 3, 4, 5, 6]], chosen)], draws=1, ratio=0.34)["uniform"]
    # two frames of six: one piece, frames 2 and 3
    expected = {"tau": 0, "rho": 0, "tau_of_mean": 0, "rho_of_mean": 0, "f_mean": 0.75, "f_max": 1}
    assert row == pytest.approx(expected)


def test_people_against_each_other() -> None:
    row = controls([flat_video(PEOPLE)], draws=1)["humans"]
    pairs = [(PEOPLE[0], PEOPLE[1]), (PEOPLE[0], PEOPLE[2]), (PEOPLE[1], PEOPLE[2])]
    assert row["tau"] == pytest.approx(np.mean([kendalltau(*pair).statistic for pair in pairs]))
    assert row["rho"] == pytest.approx(np.mean([spearmanr(*pair).statistic for pair in pairs]))
    rest = [(PEOPLE[0], [5, 5, 3, 5]), (PEOPLE[1], [5, 4, 4, 5]), (PEOPLE[2], [2, 5, 5, 8])]
    assert row["tau_of_mean"] == pytest.approx(np.mean([kendalltau(*pair).statistic for pair in rest]))
    assert row["rho_of_mean"] == pytest.approx(np.mean([spearmanr(*pair).statistic for pair in rest]))


def test_summaries_of_people_against_those_of_the_others() -> None:
    row = controls([flat_video(chosen=[[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 1, 1]])], draws=1)["humans"]
    assert row["f_mean"] == pytest.approx((1 / 2 + 0 + 1 / 2 + 1 / 2 + 0 + 1 / 2) / 6)
    assert row["f_max"] == pytest.approx(1 / 2)


def test_one_person_has_nobody_to_agree_with() -> None:
    alone = small_video(people=1)
    assert controls([alone], draws=1)["humans"] == {}
    assert controls([alone, flat_video(PEOPLE)], draws=1)["humans"] == controls([flat_video(PEOPLE)], draws=1)["humans"]


@pytest.mark.parametrize(
    ("options", "message"), [({"draws": 0}, "draws 0"), ({"ratio": 0}, "ratio 0"), ({"worth": 0}, "worth 0")]
)
def test_wrong_options_are_refused(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        controls([small_video()], **options)
