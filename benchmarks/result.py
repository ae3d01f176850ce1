"""A benchmark's outcome as ``benchmarks/results/NAME.json``."""

import json
import os
import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

RESULTS = Path(__file__).parent / "results"
ORIGIN = ("command", "date", "machine", "versions")
HEADER = ("name", *ORIGIN, "seed", "earlier", "metrics")
"""What every result holds; the rest are notes."""
PACKAGES = ("torch", "torchvision", "lightning", "transformers", "mmtasks")


def write_result(
    name: str,
    metrics: dict[str, float],
    *,
    seed: int,
    notes: dict[str, str] | None = None,
    others_stay: bool = False,
    replaces: str | None = None,
) -> Path:
    """Write the figures with what is needed to repeat and judge them; returns the file's path.

    notes: how the figures were counted, by name. others_stay: figures of the file that this run did not measure stay,
    with their notes, and ``earlier`` tells when, where and by which command they came. replaces: how the names of those
    end that go nevertheless.
    """
    path = RESULTS / f"{name}.json"
    before = json.loads(path.read_text()) if others_stay and path.is_file() else {"metrics": {}}
    earlier = {
        key: found for key, found in _others(before, metrics).items() if replaces is None or not key.endswith(replaces)
    }
    result: dict[str, Any] = {
        "name": name,
        "command": shlex.join(["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]),
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": versions(),
        "seed": seed,
        **({key: value for key, value in before.items() if key not in HEADER} if earlier else {}),
        **(notes or {}),
        **({"earlier": {key: told for key, (_, told) in earlier.items()}} if earlier else {}),
        "metrics": {key: value for key, (value, _) in earlier.items()}
        | {key: round(float(value), 4) for key, value in metrics.items()},
    }
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result["metrics"], indent=2))
    print(f"written: {path}")
    return path


def versions() -> dict[str, str]:
    """Of Python and of the packages that compute."""
    return {"python": platform.python_version(), **{package: version(package) for package in PACKAGES}}


def _others(before: dict[str, Any], metrics: dict[str, float]) -> dict[str, tuple[float, dict[str, Any]]]:
    """Those figures of an earlier result that are not among the new ones, and where each came from."""
    told = before.get("earlier", {})
    by = {name: before[name] for name in ORIGIN if name in before}
    return {key: (value, told.get(key, by)) for key, value in before["metrics"].items() if key not in metrics}


def machine() -> str:
    """The processor and its widest vectors that torch uses, the cores this process may use, the memory, and the GPU."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    vectors = torch.backends.cpu.get_cpu_capability()
    return f"{_processor()} ({vectors}), {cores} core{'s' if cores > 1 else ''}, {memory:.0f} GiB{gpu}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
