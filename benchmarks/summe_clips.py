"""Two clips of SumMe, scored by models that learned from TVSum alone: overlap with the person who agrees most.

The epoch is chosen on a fifth of TVSum's videos; the clips are scored once for each seed.
"""

import os
import shutil
import statistics
from pathlib import Path

from benchmarks.result import write_result
from benchmarks.training import CONFIGS
from mmtasks.cli import main as mmtasks
from mmtasks.tasks.launch import launch

SEEDS = (0, 1, 2)
OUTPUT = Path("runs/benchmark-summe-clips")
FEATURES = OUTPUT / "clips.h5"
NOTES = {
    "seeds": f"{', '.join(map(str, SEEDS))}; sd: between seeds",
    "f_score": "with the person who agrees most, at 15 %, knapsack over shots by the sum of their frames' scores",
    "human": "each person in the place of the model, against the others",
    "clips": "two, judged by 15 and 16 people: too few to tell models apart",
}

Figures = dict[str, float]


def main() -> None:
    """Prepare the clips, train and test with each seed, write the means."""
    shutil.rmtree(OUTPUT, ignore_errors=True)  # so that all of it is of today's code
    OUTPUT.mkdir(parents=True)
    _prepare()
    found = [_figures(seed) for seed in SEEDS]
    metrics: Figures = {}
    for name, logged in (("f_score", "f_max"), ("tau", "tau")):
        values = [figures[logged] for figures in found]
        metrics |= {name: statistics.fmean(values), f"{name}_sd": statistics.stdev(values)}
    for start, logged in (("f", "f_max"), ("tau", "tau")):
        for end, row in (("random", "random"), ("uniform", "uniform"), ("human", "humans")):
            metrics[f"{start}_{end}"] = found[0][f"{logged}_{row}"]  # the same with every seed
    for clip in sorted(name.removeprefix("f_score_") for name in found[0] if name.startswith("f_score_")):
        metrics[f"f_score_{clip}"] = statistics.fmean(figures[f"f_score_{clip}"] for figures in found)
    write_result("summe_clips", metrics, seed=SEEDS[0], notes=NOTES)


def _prepare() -> None:
    """Features as those of TVSum, with what people chose."""
    data = Path(os.environ["MMTASKS_DATA"]) / "summe_clips"
    given = ["--manifest", data / "clips.jsonl", "--people", data / "summe_clips.h5", "--rate", 1.5]
    if mmtasks(["prepare", "video", *map(str, given), "--output", str(FEATURES)]):
        raise SystemExit("the clips could not be prepared")


def _figures(seed: int) -> Figures:
    """Of the checkpoint that validation chose, and ``f_score_CLIP`` of each clip."""
    configs = [CONFIGS / "tvsum.yaml", CONFIGS / "overlays" / "tvsum_summe.yaml"]
    folder = OUTPUT / f"seed{seed}"
    cli = launch(
        [
            "fit",
            *(f"--config={config}" for config in configs),
            f"--data.init_args.test.init_args.path={FEATURES}",
            f"--data.init_args.seed={seed}",
            f"--seed_everything={seed}",
            f"--trainer.default_root_dir={folder}",
        ]
    )
    best = folder / "checkpoints" / "best.ckpt"
    tested = cli.trainer.test(cli.model, cli.datamodule, ckpt_path=best, verbose=False, weights_only=True)[0]
    [scores] = cli.model.stage_metrics.values()
    clips = {f"f_score_{clip}": figures["f_max"] for clip, figures in scores.videos.items()}
    return {name.removeprefix("test/"): float(value) for name, value in tested.items()} | clips


if __name__ == "__main__":
    main()
