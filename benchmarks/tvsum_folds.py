"""Models over all folds and seeds of TVSum."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.training import CONFIGS
from mmtasks.tasks.crossval import crossval

SPLITS = "$MMTASKS_DATA/tvsum/splits.json"
JOBS = 2

Figures = dict[str, dict[str, float]]


def run(config: str, output: Path, seeds: Sequence[int]) -> Figures:
    """Test figures of every fold and seed; config: one name, or several with ``+``, each laid over those before."""
    configs = [str(CONFIGS / f"{name}.yaml") for name in config.split("+")]
    return crossval(configs, SPLITS, output, seeds=seeds, jobs=JOBS)
