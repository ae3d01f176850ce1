"""TVSum with the title as text stream, without, unsmoothed, and unsmoothed with the order of steps broken.

The model of the config scores each step alone; an LSTM, which may read the order, is trained in order and out of it.
"""

import argparse
import statistics
from pathlib import Path

from benchmarks.result import write_result
from benchmarks.tvsum_folds import Figures, run
from mmtasks.tasks.crossval import of_seed, over_seeds

SEEDS = (0, 1, 2)
ROWS = {
    "no_title": "tvsum",
    "title": "tvsum+overlays/tvsum_title",
    "unsmoothed": "tvsum+overlays/tvsum_unsmoothed",
    "shuffled": "tvsum+overlays/tvsum_shuffled",
    "lstm": "tvsum+overlays/tvsum_lstm",
    "lstm_shuffled": "tvsum+overlays/tvsum_lstm+overlays/tvsum_shuffled",
}
GAINS = {"title": ("title", "no_title"), "order": ("unsmoothed", "shuffled"), "order_lstm": ("lstm", "lstm_shuffled")}
"""What is worth how much: the row with it, and the one without."""
NOTES = {
    "seeds": f"{', '.join(map(str, SEEDS))}; sd: of means over folds, between seeds; tau_gain: differences by seed",
    "unsmoothed": "the same steps in order, without the mean over neighbours: beside no_title, what smoothing is worth",
    "shuffled": "unsmoothed and out of order; this model scores each step alone, so only chance tells it "
    "from unsmoothed",
    "lstm": "unsmoothed, an LSTM over the steps; lstm_shuffled: the same out of order",
}


def main() -> None:
    """Every fold with every seed, for each row; runs of the benchmark ``tvsum`` are used again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--rows", nargs="+", choices=ROWS, default=list(ROWS), help="to measure, others stay; default all"
    )
    figures: dict[str, Figures] = {}
    for row in parser.parse_args().rows:
        config = ROWS[row]
        figures[row] = run(config, Path("runs/benchmark-" + config.replace("+overlays/", "-")), SEEDS)
    write_result("tvsum_ablation", _metrics(figures), seed=SEEDS[0], notes=NOTES, others_stay=True)


def _metrics(figures: dict[str, Figures]) -> dict[str, float]:
    """Means and deviations of each row, and of the differences between two that are both there."""
    metrics: dict[str, float] = {}
    for row, found in figures.items():
        metrics[f"tau_{row}"], metrics[f"tau_{row}_sd"] = over_seeds(found, "tau")
        metrics[f"rho_{row}"], metrics[f"rho_{row}_sd"] = over_seeds(found, "rho")
    for name, (row, without) in GAINS.items():
        if row in figures and without in figures:
            gains = [of_seed(figures[row], seed, "tau") - of_seed(figures[without], seed, "tau") for seed in SEEDS]
            metrics |= {f"tau_gain_{name}": statistics.fmean(gains), f"tau_gain_{name}_sd": statistics.stdev(gains)}
    return metrics


if __name__ == "__main__":
    main()
