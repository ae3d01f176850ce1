"""Three tasks on one set of weights against three models, at equal steps of each task; what the shared fusion does.

The single models come out of the joint config: the task's objective, its data, the encoders it reads, the same fusion.
Each trains as many steps as the joint run took for its task. `without_fusion` is the joint model whose heads read the
tokens as they were before fusion, also without its last norm, and `zeroed` the one whose heads read zeros;
``match_accuracy``, of telling a caption's picture from another, needs fusion most, because candidates are found by
embeddings before it.
"""

import argparse
import math
import shutil
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
import yaml

from benchmarks.result import write_result
from benchmarks.training import CONFIGS
from mmtasks.fusion.base import Fusion, concatenate
from mmtasks.tasks.trained import Trained, train_and_test
from mmtasks.types import Fused, Tokens

WORLDS = {"embedded": "joint", "real": "joint_real"}
FIGURES = {
    "image_text": {"t2i_r1": 100, "i2t_r1": 100, "dual_t2i_r1": 100, "match_accuracy": 100},
    "transcription": {"wer": 100},
    "summary": {"tau": 1},
}
"""By objective, what is reported and its factor."""
OUTPUT = Path("runs/benchmark-joint")
READ = {"image_text": ("image", "text"), "transcription": ("audio",), "summary": ("video", "text")}
Figures = dict[str, float]


class SideBySide(Fusion):
    """No token reads another. factor: of each; 0 leaves nothing of them."""

    def __init__(self, factor: float = 1.0) -> None:
        super().__init__()
        self.factor = factor

    def build(self, dim: int) -> None:
        """There are no weights."""

    def forward(self, tokens: dict[str, Tokens], *, need_weights: bool = False) -> Fused:
        """Tokens (B, N_m, D) of each modality -> Fused (B, N, D), as they are but for the factor."""
        return concatenate({name: Tokens(self.factor * of.x, of.mask) for name, of in tokens.items()})


def main() -> None:
    """Train and test every model with every seed; write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=["embedded"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--go-on", action="store_true", help=f"from what an earlier call left in {OUTPUT}")
    parser.add_argument("--processes", type=int, default=1, help="seeds that train side by side")
    options = parser.parse_args()
    with ExitStack() as stack:
        compared: Any = map  # a process of its own would go on where this one is ended
        if options.processes > 1:
            pool = ProcessPoolExecutor(options.processes, mp_context=get_context("spawn"))
            compared = stack.enter_context(pool).map
        for world in options.worlds:
            runs: list[Figures] = []
            for figures in compared(partial(_compare, world, options.go_on), options.seeds):
                runs.append(figures)
                _write(world, runs, options.seeds[: len(runs)])


def _compare(world: str, go_on: bool, seed: int) -> Figures:
    """The joint model and the single ones with one seed."""
    config, folder = yaml.safe_load((CONFIGS / f"{WORLDS[world]}.yaml").read_text()), OUTPUT / f"{world}-seed{seed}"
    if not go_on:
        shutil.rmtree(folder, ignore_errors=True)
    joint = _train(config, seed, folder / "joint")
    figures = _named("joint", joint, list(FIGURES)) | {"params_joint": joint.parameters, "minutes_joint": joint.minutes}
    steps = _steps(joint)
    figures |= {"params_single": 0, "minutes_single": 0}
    for task in FIGURES:
        single = _train(alone(config, task, steps[task]), seed, folder / task)
        figures |= _named("single", single, [task])
        figures["params_single"] += single.parameters
        figures["minutes_single"] += single.minutes
    figures |= _named("without_fusion", _with_fusion(joint, SideBySide()), list(FIGURES))
    return figures | _named("zeroed", _with_fusion(joint, SideBySide(0.0)), list(FIGURES))


def _train(config: dict[str, Any], seed: int, folder: Path) -> Trained:
    """Train in a folder, from where an earlier run was stopped, and test; minutes are known of a whole run only."""
    folder.mkdir(parents=True, exist_ok=True)
    path, last = folder / "seeded.yaml", folder / "checkpoints" / "last.ckpt"
    path.write_text(yaml.safe_dump(_seeded(config, seed)))
    resumed = [f"--ckpt_path={last}"] if last.exists() else []
    run = train_and_test([path], f"--seed_everything={seed}", f"--trainer.default_root_dir={folder}", *resumed)
    return replace(run, minutes=math.nan) if resumed else run


def _seeded(config: dict[str, Any], seed: int) -> dict[str, Any]:
    """With the seed of what the data draw too: of the tasks, and of each task's order, captions and augmentation."""
    seeded = deepcopy(config)
    data = seeded["data"]["init_args"]
    for drawn in (data, *(task["init_args"] for task in data["tasks"].values())):
        drawn["seed"] = seed
    return seeded


def _steps(joint: Trained) -> Counter[str]:
    """How many steps of the run were of each task."""
    loader: Any = joint.data.train_dataloader()
    epochs = range(joint.task.trainer.max_epochs or 0)
    return Counter(name for epoch in epochs for names in loader.draws(epoch) for name in names)


def alone(config: dict[str, Any], task: str, steps: int) -> dict[str, Any]:
    """The joint config with one task left, and so many steps."""
    single = deepcopy(config)
    model, data = single["model"]["init_args"], single["data"]["init_args"]
    backbone = model["backbone"]["init_args"]
    encoders = backbone["encoders"]
    for modality in READ[task]:
        lender = encoders[modality].get("init_args", {}).get("pictures")
        if isinstance(lender, str):  # a borrowed encoder becomes the model's own
            encoders[modality]["init_args"]["pictures"] = deepcopy(encoders[lender])
    for option, value in backbone.items():
        if isinstance(value, dict) and value.keys() <= encoders.keys():  # by modality
            backbone[option] = {name: of for name, of in value.items() if name in READ[task]}
        elif isinstance(value, list):
            backbone[option] = [name for name in value if name in READ[task]]
    _keep_fusion_of(READ[task], backbone["fusion"])
    model["objectives"] = {task: model["objectives"][task]}
    data["tasks"] = {task: data["tasks"][task]}
    data.pop("sampling", None)
    model.pop("weighting", None)
    data["steps_per_epoch"] = steps // single["trainer"]["max_epochs"]
    return single


def _keep_fusion_of(read: tuple[str, ...], fusion: dict[str, Any]) -> None:
    """Leave out what a fusion would read of other modalities than these, and parts of it that read nothing else."""
    options = fusion.get("init_args", {})
    if options.get("modalities"):
        options["modalities"] = [name for name in options["modalities"] if name in read]
    for part in options.get("fusions", []):
        _keep_fusion_of(read, part)
    if "fusions" in options:
        options["fusions"] = [f for f in options["fusions"] if f.get("init_args", {}).get("modalities") != []]


def _named(kind: str, run: Trained, tasks: list[str]) -> Figures:
    return {
        f"{kind}_{name}": factor * (run.of(task) or run.figures)[name]
        for task in tasks
        for name, factor in FIGURES[task].items()
    }


@torch.no_grad()
def _with_fusion(joint: Trained, fusion: Fusion) -> Trained:
    """The joint model's test with another fusion, and else the same weights."""
    joint.task.backbone.fusion = fusion
    tested = joint.task.trainer.test(joint.task, joint.data, verbose=False)[0]
    return replace(joint, figures={name.removeprefix("test/"): float(value) for name, value in tested.items()})


def _write(world: str, runs: list[Figures], seeds: list[int]) -> None:
    """The figures of a world; those of the other stay."""
    metrics = {f"{name}_{world}": value for name, value in _over_seeds(runs).items()}
    notes = {f"seeds_{world}": " ".join(map(str, seeds))}
    write_result("joint", metrics, seed=seeds[0], notes=notes, others_stay=True, replaces=f"_{world}")


def _over_seeds(runs: list[Figures]) -> Figures:
    """Means of what is known of every run, and deviations where there are several seeds."""
    known = [name for name in runs[0] if not any(math.isnan(run[name]) for run in runs)]
    figures = {name: mean(run[name] for run in runs) for name in known}
    if len(runs) > 1:
        figures |= {f"{name}_sd": stdev(run[name] for run in runs) for name in known if "params" not in name}
    return figures


if __name__ == "__main__":
    main()
