"""TVSum with the title as text stream, without, unsmoothed, and unsmoothed with the order of steps broken."""

from pathlib import Path

from benchmarks.result import write_result
from benchmarks.tvsum_folds import run
from mmtasks.tasks.crossval import over_seeds

SEEDS = (0, 1, 2)
ROWS = {
    "no_title": "tvsum",
    "title": "tvsum+overlays/tvsum_title",
    "unsmoothed": "tvsum+overlays/tvsum_unsmoothed",
    "shuffled": "tvsum+overlays/tvsum_shuffled",
}
NOTES = {
    "seeds": f"{', '.join(map(str, SEEDS))}; sd: of the means over folds, between seeds",
    "unsmoothed": "the same steps in order, without the mean over neighbours: beside no_title, what smoothing is worth",
    "shuffled": "unsmoothed and out of order; this model scores each step alone, so only chance tells it "
    "from unsmoothed",
}


def main() -> None:
    """Every fold with every seed, for each row; runs of the benchmark ``tvsum`` are used again."""
    metrics: dict[str, float] = {}
    for row, config in ROWS.items():
        figures = run(config, Path("runs/benchmark-" + config.replace("+overlays/", "-")), SEEDS)
        metrics[f"tau_{row}"], metrics[f"tau_{row}_sd"] = over_seeds(figures, "tau")
        metrics[f"rho_{row}"], metrics[f"rho_{row}_sd"] = over_seeds(figures, "rho")
    write_result("tvsum_ablation", metrics, seed=SEEDS[0], notes=NOTES)


if __name__ == "__main__":
    main()
