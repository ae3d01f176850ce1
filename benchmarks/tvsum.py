"""TVSum, five canonical folds, three seeds: τ and ρ with people, beside every row that such a table needs.

Each fold's epoch is chosen on a fifth of its training videos; its test videos are scored once for each seed.
"""

import shutil
import statistics
import time
from pathlib import Path

from benchmarks.result import write_result
from benchmarks.tvsum_folds import Figures, run
from mmtasks.tasks.crossval import of_seed, over_seeds

SEEDS = (0, 1, 2)
OUTPUT = Path("runs/benchmark-tvsum")
ALONE = Path("runs/benchmark-tvsum-mlp")
NOTES = {
    "seeds": f"{', '.join(map(str, SEEDS))}; sd: of the means over folds, between seeds",
    "f_score": "mean over people, at 15 %, knapsack over shots by the sum of their frames' scores",
    "fold0": "the only fold none of whose test videos took part in choosing the config, see decision 0018",
    "human": "tau and rho: people in pairs; f_score: each against the others",
}


def main() -> None:
    """Train every fold with every seed, and a scorer of single frames; write the figures."""
    for folder in (OUTPUT, ALONE):
        shutil.rmtree(folder, ignore_errors=True)  # so that all of it is of today's code, and the minutes of all folds
    start = time.perf_counter()
    model = run("tvsum", OUTPUT, SEEDS)
    metrics = {"minutes": (time.perf_counter() - start) / 60}
    alone = run("tvsum+overlays/tvsum_mlp", ALONE, SEEDS)
    for row, figures in (("", model), ("_mlp", alone)):
        metrics[f"tau{row}"], metrics[f"tau_sd{row}"] = over_seeds(figures, "tau")
        metrics[f"rho{row}"], metrics[f"rho_sd{row}"] = over_seeds(figures, "rho")
        metrics[f"f_score{row}"], _ = over_seeds(figures, "f_mean")
    gains = [of_seed(model, seed, "tau") - of_seed(alone, seed, "tau") for seed in SEEDS]
    metrics |= {"tau_gain_over_mlp": statistics.fmean(gains), "tau_gain_over_mlp_sd": statistics.stdev(gains)}
    metrics |= {"tau_fold0": _fold0(model, "tau"), "tau_fold0_mlp": _fold0(alone, "tau")}
    metrics |= {"tau_fold0_random": _fold0(model, "tau_random"), "tau_fold0_human": _fold0(model, "tau_humans")}
    for row, logged in (("random", "random"), ("uniform", "uniform"), ("human", "humans")):
        for name, figure in (("tau", "tau"), ("rho", "rho"), ("f_score", "f_mean")):
            metrics[f"{name}_{row}"], _ = over_seeds(model, f"{figure}_{logged}")
    write_result("tvsum", metrics, seed=SEEDS[0], notes=NOTES)


def _fold0(figures: Figures, name: str) -> float:
    return statistics.fmean(figures[f"fold0-seed{seed}"][name] for seed in SEEDS)


if __name__ == "__main__":
    main()
