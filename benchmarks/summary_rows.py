"""Rows of a table of video summarization: models over all folds and seeds, and those that need no model."""

import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks.training import CONFIGS
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.metrics.summary import FIGURES, controls
from mmtasks.tasks.crossval import crossval

FEATURES = "$MMTASKS_DATA/tvsum/tvsum_efficientnet_lite0.h5"
SPLITS = "$MMTASKS_DATA/tvsum/splits.json"
FOLDS = 5
JOBS = 2

Figures = dict[str, dict[str, float]]


def run(config: str, output: Path, seeds: Sequence[int]) -> Figures:
    """Test figures of every fold and seed; config: one name, or several with ``+``, each laid over those before."""
    configs = [str(CONFIGS / f"{name}.yaml") for name in config.split("+")]
    return crossval(configs, SPLITS, output, seeds=seeds, jobs=JOBS)


def control_rows(*, worth: str) -> Figures:
    """Random scores, a uniform summary and people themselves, on the test videos: the mean over folds, as of models."""
    folds = [
        controls([row.annotation for row in SummaryH5(FEATURES, splits=SPLITS, fold=fold, part="test")], worth=worth)
        for fold in range(FOLDS)
    ]
    return {
        row: {name: statistics.fmean(fold[row][name] for fold in folds) for name in FIGURES if name in folds[0][row]}
        for row in folds[0]
    }
