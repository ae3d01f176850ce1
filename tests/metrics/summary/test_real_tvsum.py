"""On TVSum the control rows are those that others published."""

import os
from pathlib import Path

import numpy as np
import pytest

from mmtasks.metrics.summary import average, controls, correlations, select
from mmtasks.types import Annotation

FILE = Path(os.path.expandvars("$MMTASKS_DATA/tvsum/tvsum_efficientnet_lite0.h5"))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not FILE.is_file(), reason="needs MMTASKS_DATA/tvsum")]


@pytest.fixture(scope="module")
def videos() -> list[Annotation]:
    import h5py

    with h5py.File(FILE) as file:
        return [
            Annotation(
                group["picks"][:],
                int(group["n_frames"][()]),
                float(group["fps"][()]),
                group["change_points"][:],
                group["user_scores"][:],
                group["user_summary"][:].astype(bool),
            )
            for group in file.values()
        ]


def test_people_agree_as_published_and_chance_does_not(videos: list[Annotation]) -> None:
    rows = controls(videos, draws=3)
    assert rows["humans"]["tau"] == pytest.approx(0.1775, abs=5e-4)
    assert rows["humans"]["rho"] == pytest.approx(0.204, abs=5e-4)
    assert abs(rows["random"]["tau"]) < 0.01
    assert abs(rows["random"]["rho"]) < 0.015
    assert rows["uniform"]["tau"] == rows["uniform"]["rho"] == 0


def test_ceiling_is_the_mean_of_all_people(videos: list[Annotation]) -> None:
    said = [(video.user_scores[:, video.picks].mean(axis=0), video) for video in videos]  # type: ignore[index]
    found = average(correlations(scores, video) for scores, video in said)
    assert found["tau"] == pytest.approx(0.378, abs=5e-4)
    assert found["rho"] == pytest.approx(0.473, abs=5e-4)
    assert found["tau_of_mean"] == found["rho_of_mean"] == pytest.approx(1)


def test_summaries_of_people_are_the_best_by_the_sum_of_their_scores(videos: list[Annotation]) -> None:
    for video in videos[:10]:
        every = video._replace(picks=np.arange(video.n_frames))
        for scores, summary in zip(video.user_scores, video.user_summary, strict=True):  # type: ignore[arg-type]
            assert scores[select(scores, every, worth="sum").mask].sum() == scores[summary].sum()
