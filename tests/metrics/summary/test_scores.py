"""A set's figures do not depend on the order of videos, on batches or on repeats."""

import numpy as np
import pytest
import torch

from mmtasks.metrics.summary import FIGURES, SummaryScores, average, figures
from tests.metrics.summary.videos import small_video

# one without scores, one without summaries, names that are no plain ASCII
NAMES = ["video_1", "video_10", "video_2", "süß \n\u2028", "e"]
VIDEOS = [small_video(seed, steps=8 + seed, chosen=seed != 2, scored=seed != 3) for seed in range(len(NAMES))]
SCORES = [np.random.default_rng(seed).random(8 + seed) for seed in range(len(NAMES))]
EXPECTED = {name: figures(*pair) for name, *pair in zip(NAMES, SCORES, VIDEOS, strict=True)}


def _metric(order: list[int], size: int = 2) -> SummaryScores:
    metric = SummaryScores()
    for start in range(0, len(order), size):
        rows = order[start : start + size]
        metric.update([NAMES[i] for i in rows], [SCORES[i] for i in rows], [VIDEOS[i] for i in rows])
    return metric


def test_figures_of_each_video_and_their_average() -> None:
    metric = _metric([0, 1, 2, 3, 4])
    found = metric.compute()
    assert list(found) == list(FIGURES)
    assert {name: value.item() for name, value in found.items()} == pytest.approx(average(EXPECTED.values()), rel=1e-12)
    assert metric.videos == EXPECTED
    assert list(metric.videos) == sorted(NAMES)
    assert "f_mean" not in metric.videos["video_2"]


@pytest.mark.parametrize("order", [[4, 2, 0, 3, 1], [3, 4, 0, 1, 2, 0, 3], [1, 1, 1, 0, 2, 3, 4]])
@pytest.mark.parametrize("size", [1, 3])
def test_neither_order_nor_repeats_nor_batches_matter(order: list[int], size: int) -> None:
    metric = _metric(order, size)
    assert metric.compute() == _metric([0, 1, 2, 3, 4]).compute()
    assert metric.videos == EXPECTED


def test_of_two_results_of_a_video_one_always_counts() -> None:
    found = []
    for order in ([0, 1], [1, 0]):
        metric = SummaryScores()
        for factor in order:
            metric.update(["a"], [SCORES[0] * (1 - 2 * factor)], [VIDEOS[0]])
        found.append(metric.compute()["tau"])
    assert found[0] == found[1] != 0


def test_tensors_of_any_precision() -> None:
    metric = SummaryScores()
    metric.update(["a"], [torch.arange(8, dtype=torch.bfloat16).requires_grad_()], [VIDEOS[0]])
    assert metric.compute()["tau"] == figures(np.arange(8), VIDEOS[0])["tau"]


def test_forgets() -> None:
    metric = _metric([0, 1])
    metric.compute()
    metric.reset()
    assert metric.videos == {}
    metric.update(NAMES[2:3], SCORES[2:3], VIDEOS[2:3])
    metric.compute()
    assert list(metric.videos) == ["video_2"]


def test_what_shots_are_worth_reaches_the_selection() -> None:
    video, found = small_video(3, chosen=True), {}
    for worth in ("mean", "sum"):
        metric = SummaryScores(ratio=0.5, worth=worth)
        metric.update(["a"], [SCORES[4]], [video])
        found[worth] = metric.compute()["f_mean"]
        assert found[worth] == figures(SCORES[4], video, ratio=0.5, worth=worth)["f_mean"]
    assert found["mean"] != found["sum"]


def test_the_ratio_is_that_of_the_summary() -> None:
    metric = SummaryScores(ratio=1.0)
    metric.update(["a"], [SCORES[0]], [VIDEOS[0]])
    assert VIDEOS[0].user_summary is not None
    share = VIDEOS[0].user_summary.mean(axis=1)
    assert metric.compute()["f_mean"].item() == pytest.approx((2 * share / (1 + share)).mean())


def test_what_does_not_fit_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"ratio 1.5"):
        SummaryScores(ratio=1.5)
    with pytest.raises(ValueError, match=r"video b: scores of shape \(9,\)"):
        SummaryScores().update(["a", "b"], SCORES[:2], [VIDEOS[0], VIDEOS[0]])
    with pytest.raises(ValueError, match="2 ids, 1 scores, 2 annotations"):
        SummaryScores().update(["a", "b"], SCORES[:1], VIDEOS[:2])
