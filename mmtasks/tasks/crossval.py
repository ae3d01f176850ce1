"""Cross-validation: every fold of a list of splits with every seed, each trained, chosen on its own validation videos,
and tested once.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from mmtasks.data.folds import read_splits
from mmtasks.errors import UserError

PARTS = ("train", "val", "test")


class Run(NamedTuple):
    """One fold with one seed."""

    fold: int
    seed: int

    @property
    def name(self) -> str:
        """How its folder is called."""
        return f"fold{self.fold}-seed{self.seed}"


def main(arguments: Sequence[str]) -> None:
    """``mmtasks crossval --config C --splits S.json [--seeds 0 1 2] [--jobs N] --output DIR [options of fit]``."""
    options, rest = _parser().parse_known_args(arguments)
    figures = crossval(
        options.config,
        options.splits,
        Path(options.output),
        seeds=options.seeds,
        jobs=options.jobs,
        options=rest,
    )
    print(table(figures))
    print(f"every figure: {Path(options.output) / 'crossval.json'}")


def crossval(
    configs: Sequence[str],
    splits: str,
    output: Path,
    *,
    seeds: Sequence[int] = (0,),
    jobs: int = 1,
    options: Sequence[str] = (),
) -> dict[str, dict[str, float]]:
    """Test figures of each run, by ``foldK-seedS``. Runs that ``output`` already holds are not done again.

    Args:
        configs: of a task whose sources take ``splits`` and ``fold``, laid one over another.
        splits: JSON, a list of ``{"train": […], "test": […]}``.
        output: a folder for each run, and ``crossval.json`` with the figures of all.
        seeds: of weights and order.
        jobs: runs at once; the cores are shared among them.
        options: of ``fit``, for all runs.

    Raises:
        UserError: a fold of the splits cannot be used, ``output`` holds runs of something else, or a run failed.
    """
    if jobs < 1:
        raise UserError(f"--jobs {jobs}: give at least 1 process")
    folds = read_splits(splits)
    runs = [Run(fold, seed) for seed in seeds for fold in range(len(folds))]
    given = {"configs": [_read(config) for config in configs], "options": list(options), "splits": folds}
    _claim(output, given)
    waiting = [run for run in runs if not _result(output, run).exists()]
    print(f"{len(runs)} runs, {len(runs) - len(waiting)} of them done before", flush=True)
    failures: list[str] = []
    for count, (run, error) in enumerate(_all(waiting, jobs, list(configs), splits, output, list(options)), 1):
        if error is not None:
            failures.append(f"{run.name}: {error}")
        print(f"{count} of {len(waiting)}: {run.name} {'failed' if error else 'done'}", flush=True)
    if failures:
        raise UserError(f"{len(failures)} runs failed, the others are kept; first {failures[0]}")
    figures = {run.name: json.loads(_result(output, run).read_text()) for run in runs}
    _write(output / "crossval.json", figures)
    return figures


def table(figures: dict[str, dict[str, float]]) -> str:
    """Each figure: the mean over folds, and of these means the spread over seeds; a run without it does not count."""
    lines = [f"{'':20s}{'mean':>9s}{'over seeds':>12s}"]
    for name in dict.fromkeys(name for found in figures.values() for name in found):
        mean, spread = over_seeds(figures, name)
        count = sum(name in found for found in figures.values())
        part = f"  {count} of {len(figures)} runs" if count < len(figures) else ""
        lines.append(f"{name:20s}{mean:9.4f}{'±' + format(spread, '.4f'):>12s}{part}")
    return "\n".join(lines)


def over_seeds(figures: dict[str, dict[str, float]], name: str) -> tuple[float, float]:
    """Mean over the seeds of the mean over folds of a figure, and its standard deviation; 0 with one seed."""
    seeds = {int(run.rpartition("seed")[2]) for run, found in figures.items() if name in found}
    means = [of_seed(figures, seed, name) for seed in sorted(seeds)]
    return statistics.fmean(means), statistics.stdev(means) if len(means) > 1 else 0.0


def of_seed(figures: dict[str, dict[str, float]], seed: int, name: str) -> float:
    """The mean over the folds that have a figure, with one seed."""
    runs = [found for run, found in figures.items() if run.endswith(f"-seed{seed}")]
    return statistics.fmean(found[name] for found in runs if name in found)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mmtasks crossval", description="Train and test every fold; the rest goes to fit.")
    parser.add_argument("--config", action="append", required=True, help="as of fit; several lie one over another")
    parser.add_argument("--splits", required=True, help='JSON: [{"train": [id, …], "test": [id, …]}, …]')
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="each fold is trained with each")
    parser.add_argument("--jobs", type=int, default=1, help="folds at once, each a process")
    parser.add_argument("--output", required=True, help="folder; a second call goes on where the first stopped")
    return parser


def _read(config: str) -> str:
    try:
        return Path(config).read_text()
    except OSError as error:
        raise UserError(f"{config}: cannot be read ({error.strerror}); give a config of configs/") from None


def _claim(output: Path, given: dict[str, Any]) -> None:
    """A folder is of one config and its options: figures of two must not end in one table."""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{output}: cannot be made ({error.strerror}); choose another --output") from None
    record = output / "given.json"
    if record.exists() and json.loads(record.read_text()) != given:
        raise UserError(f"{output}: holds runs of another config or other options; choose another --output")
    _write(record, given)


def _all(runs: list[Run], jobs: int, *arguments: Any) -> Iterator[tuple[Run, UserError | None]]:
    """Each run as it ends, with what it failed of; only what a person can mend does not stop the others."""
    if jobs == 1:
        for run in runs:
            yield run, _mendable(partial(_train, run, *arguments))
        return
    threads = max(1, len(os.sched_getaffinity(0)) // jobs)
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_share, initargs=(threads,))
    try:
        started = {pool.submit(_train, run, *arguments): run for run in runs}
        for future in as_completed(started):
            yield started[future], _mendable(future.result)
    except BrokenProcessPool:
        raise UserError("a process was killed, perhaps for want of memory; run again, with fewer --jobs") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _mendable(call: Callable[[], None]) -> UserError | None:
    try:
        call()
    except UserError as error:
        return error
    return None


def _share(threads: int) -> None:
    """Cores of a process, which prints nothing: its bars and tables would be mixed with those of others."""
    import torch

    torch.set_num_threads(threads)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the process ends


def _train(run: Run, configs: list[str], splits: str, output: Path, options: list[str]) -> None:
    """Fit, choose the checkpoint by validation, test it; what is left is the figures."""
    from mmtasks.tasks.launch import launch

    folder = output / run.name
    places = [f"--data.init_args.{part}.init_args.{name}" for part in PARTS for name in ("splits", "fold")]
    values = [splits, str(run.fold)] * len(PARTS)
    cli = launch(
        [
            "fit",
            *(f"--config={config}" for config in configs),
            *(f"{place}={value}" for place, value in zip(places, values, strict=True)),
            f"--seed_everything={run.seed}",
            f"--data.init_args.seed={run.seed}",
            f"--trainer.default_root_dir={folder}",
            "--trainer.enable_progress_bar=false",
            *options,
        ]
    )
    best = _chosen(cli.trainer.checkpoint_callbacks)
    tested = cli.trainer.test(cli.model, cli.datamodule, ckpt_path=best, verbose=False, weights_only=True)[0]
    _write(_result(output, run), {name.removeprefix("test/"): float(value) for name, value in tested.items()})


def _chosen(callbacks: Sequence[Any]) -> str:
    """The checkpoint that was best by what it monitors. Lightning's own ``best`` is that of the first callback."""
    monitoring = [callback for callback in callbacks if callback.monitor]
    if not monitoring:
        raise UserError("the config keeps no best checkpoint; give trainer.callbacks+ a ModelCheckpoint with a monitor")
    return str(monitoring[0].best_model_path)


def _result(output: Path, run: Run) -> Path:
    return output / run.name / "test.json"


def _write(path: Path, value: Any) -> None:
    """Whole or not at all."""
    beside = path.with_suffix(".part")
    beside.write_text(json.dumps(value, indent=2) + "\n")
    beside.replace(path)
