"""Runs of the real command, killed at random moments and resumed, against untouched ones: are the weights equal?

Every task is trained alone and with others, with 0 and 2 loader workers. A run is killed, resumed, killed again, and
left to end; ``identical`` counts the kills of runs that ended with every bit of every weight as in their own,
uninterrupted.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.result import write_result
from benchmarks.training import CONFIGS

SIZES = {
    "scenes": {"number": 480, "batch_size": 16},
    "commands": {"number": 160, "batch_seconds": 8},
    "films": {"number": 40},
}
"""By config, how much it trains on: a few seconds for an epoch."""
PARTS = {"image_text": "scenes", "transcription": "commands", "summary": "films"}
"""By task of the config joint, the config that trains it alone."""
STEPS = 40
"""Of an epoch of joint training."""
TASKS = (*SIZES, "joint")
WORKERS = (0, 2)
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGINT)
POLL = 0.02  # seconds
WITHIN = 0.7
"""The share of training in which kills fall: a run that ends before its kill says nothing."""


def main() -> None:
    """Kill, resume, compare, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=TASKS)
    parser.add_argument("--workers", nargs="+", type=int, default=WORKERS)
    parser.add_argument("--kills", type=int, default=2, help="of each run")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    moments = random.Random(options.seed)
    kills = identical = 0
    for task in options.tasks:
        for workers in options.workers:
            with tempfile.TemporaryDirectory() as folder:
                command = _command(task, workers, options.epochs)
                made, same = _compare(Path(folder), command, options.kills, moments)
            print(f"{task}, {workers} workers: {made} kills, {'identical' if same else 'DIFFERENT'}", flush=True)
            kills += made
            identical += made * same
    write_result("resume", {"kills": kills, "identical": identical}, seed=options.seed)


def _command(task: str, workers: int, epochs: int) -> list[str]:
    return [
        f"--config={CONFIGS / f'{task}.yaml'}",
        f"--config={CONFIGS / 'overlays' / 'checkpoint_often.yaml'}",
        "--trainer.callbacks.init_args.steps=2",
        *(f"--data.init_args.{name}={value}" for name, value in _data(task, workers).items()),
        f"--trainer.max_epochs={epochs}",
        "--trainer.enable_progress_bar=false",
    ]


def _data(task: str, workers: int) -> dict[str, int]:
    """Options of the datamodule."""
    if task == "joint":
        parts = {f"tasks.{part}.init_args": _data(alone, workers) for part, alone in PARTS.items()}
        options = {f"{part}.{name}": value for part, found in parts.items() for name, value in found.items()}
        return {"steps_per_epoch": STEPS, **options}
    size = SIZES[task]
    options = {"train.init_args.number": size["number"], "val.init_args.number": 8, "num_workers": workers}
    return options | {name: value for name, value in size.items() if name != "number"}


def _compare(folder: Path, command: list[str], kills: int, moments: random.Random) -> tuple[int, bool]:
    """How many kills were made, and whether the weights are those of the uninterrupted run."""
    whole = folder / "whole"
    process = _start(whole, command)
    _wait_for_checkpoint(whole, process)
    start = time.monotonic()
    _check(process.wait())
    seconds = time.monotonic() - start  # of training

    root, made = folder / "0", 0
    process = _start(root, command)
    while made < kills:
        _wait_for_checkpoint(root, process)
        time.sleep(moments.uniform(0, WITHIN * seconds / kills))
        process.send_signal(moments.choice(SIGNALS))
        if process.wait() == 0:  # it had come to its end
            break
        made += 1
        resume = [f"--config={root / 'config.yaml'}", "--ckpt_path=last"]
        root = folder / str(made)
        process = _start(root, resume)
    _check(process.wait())
    return made, _same(whole, root)


def _start(root: Path, arguments: list[str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "mmtasks.cli", "fit", *arguments, f"--trainer.default_root_dir={root}"]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, env={**os.environ, "OMP_NUM_THREADS": "1"})


def _wait_for_checkpoint(root: Path, process: "subprocess.Popen[bytes]") -> None:
    """Until training has begun: before, there is nothing to lose."""
    while not (root / "checkpoints" / "last.ckpt").exists() and process.poll() is None:
        time.sleep(POLL)


def _check(status: int) -> None:
    if status:
        raise RuntimeError(f"training ended with status {status}")


def _same(whole: Path, resumed: Path) -> bool:
    """Bit by bit."""
    a, b = (
        torch.load(root / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for root in (whole, resumed)
    )
    return a.keys() == b.keys() and all(torch.equal(value, b[name]) for name, value in a.items())


if __name__ == "__main__":
    main()
