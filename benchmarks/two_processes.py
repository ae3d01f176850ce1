"""Two processes with a thread each against one process with two threads, on the same data; what each step sends.

Batches are the same, but for speech, whose batches by length are cut where two processes can share them.

Every run is ``mmtasks fit`` of a shipped config, with a clock. Rounds alternate, so that a change in the machine's
speed meets both; an efficiency is the median over rounds of seconds alone / seconds of two. Bytes are those that leave
a process: counted at the loopback interface, of a network of its own where the system allows one, against what follows
from the sizes of the model and of the batch.
"""

import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from lightning import Callback

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED

ROUNDS, STEPS, WARM = 3, 24, 4
WORLD = 2
CASES = {"image_text": ("scenes", "batch_size", 64), "transcription": ("commands", "batch_seconds", 20)}
CASES |= {"summary": ("films", "batch_size", 8)}
"""By task: config, the option that says how large a batch is, and the batch of all processes together."""
OWN_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
COUNTER = Path("/proc/net/dev")


def main() -> None:
    """Time every task both ways in turn, write the result."""
    metrics: dict[str, float] = {}
    for task in CASES:
        rounds = [(run(task, 1), run(task, WORLD)) for _ in range(ROUNDS)]
        alone, shared = ([found[kind] for found in rounds] for kind in (0, 1))
        ratios = [one["seconds"] / two["seconds"] for one, two in rounds]
        last = shared[-1]
        metrics |= {
            f"{task}_efficiency": statistics.median(ratios),
            f"{task}_step_ms_alone": 1000 * statistics.median(found["seconds"] for found in alone),
            f"{task}_step_ms_two": 1000 * statistics.median(found["seconds"] for found in shared),
            f"{task}_bytes_per_step": statistics.median(found["bytes"] for found in shared),
            f"{task}_bytes_analytic": sent(last["parameters"], last["gathered"], WORLD),
            f"{task}_parameters": last["parameters"],
            f"{task}_gathered": last["gathered"],
        }
        print(f"{task}: " + ", ".join(f"{ratio:.2f}" for ratio in ratios), flush=True)
    network = "of its own" if _may_have_own_network() else "shared with other programs"
    write_result("two_processes", metrics, seed=SEED, notes={"network": network})


def sent(parameters: float, gathered: float, world: int) -> float:
    """Bytes that leave each of ``world`` processes in a step.

    Gradients in float32 by a ring (Patarasuk and Yuan 2009), 2 (N - 1) / N of them; what the contrastive losses gather
    goes from each process to each other one.
    """
    return 2 * (world - 1) / world * 4 * parameters + (world - 1) * gathered


def run(task: str, world: int, *, steps: int = STEPS) -> dict[str, float]:
    """Seconds and bytes of a step, and the sizes that the bytes follow from."""
    config, option, size = CASES[task]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "clock.json"
        command = [
            *_launcher(world),
            *("-m", "mmtasks.cli", "fit", f"--config={CONFIGS / config}.yaml", f"--seed_everything={SEED}"),
            f"--data.init_args.{option}={size // world}",
            *(f"--data.init_args.{split}.init_args.number={number(task, split, steps)}" for split in ("train", "val")),
            *("--trainer.accelerator=cpu", f"--trainer.devices={world}", "--trainer.max_epochs=1"),
            *(f"--trainer.limit_train_batches={steps}", "--trainer.limit_val_batches=0"),
            *("--trainer.enable_progress_bar=false", f"--trainer.default_root_dir={folder}"),
            *("--trainer.callbacks+=benchmarks.two_processes.Clock", f"--trainer.callbacks.init_args.output={output}"),
        ]
        if world > 1:
            command.append(f"--config={CONFIGS / 'overlays' / 'ddp.yaml'}")
        environment = {**os.environ, "OMP_NUM_THREADS": str(WORLD // world), "GLOO_SOCKET_IFNAME": "lo"}
        done = subprocess.run(_isolated(command), env=environment, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr)
        return dict(json.loads(output.read_text()))


def number(task: str, split: str, steps: int) -> int:
    """Samples that are enough for the steps; utterances last 2 seconds or more, of films there are two each."""
    if split == "val":
        return 4
    return {"image_text": 64, "transcription": 10, "summary": 4}[task] * steps


class Clock(Callback):
    """Note time and traffic after each step; at the end, the first process writes what a step took.

    Args:
        output: JSON to write.
    """

    def __init__(self, output: str) -> None:
        self.output = output
        self._marks: list[tuple[float, int]] = []
        self._gathered: list[int] = []

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After each step."""
        self._marks.append((time.perf_counter(), _traffic()))
        if batch_idx == WARM:
            self._gathered.append(gathered(pl_module, batch))

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """The first steps, which also wait for memory and connections, are left out."""
        if not trainer.is_global_zero:
            return
        (start, before), (end, after) = self._marks[WARM], self._marks[-1]
        steps = len(self._marks) - 1 - WARM
        figures = {
            "seconds": (end - start) / steps,
            "bytes": (after - before) / steps / trainer.world_size,
            "parameters": sum(weight.numel() for weight in pl_module.parameters() if weight.requires_grad),
            "gathered": self._gathered[0],
        }
        Path(self.output).write_text(json.dumps(figures))


@torch.no_grad()
def gathered(module: Any, batch: Any) -> int:
    """Bytes that a process of image-text matching sends to each other one: tokens, and their gradients back.

    Embeddings go a third time, to find hard negatives. Masks and numbers of pictures are too few to count.
    """
    if "image_text" not in module.objectives:
        return 0
    objective, tokens = module.objectives["image_text"], module.backbone.encode(batch.inputs)
    embeddings = [objective.embedding(name, tokens[name]) for name in objective.modalities]
    return sum(2 * _size(tokens[name].x) for name in objective.modalities) + sum(3 * _size(e) for e in embeddings)


def _size(x: torch.Tensor) -> int:
    return x.numel() * x.element_size()


def _traffic() -> int:
    """Bytes that went through the loopback interface so far."""
    line = next(line for line in COUNTER.read_text().splitlines() if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[8])


def _launcher(world: int) -> list[str]:
    if world == 1:
        return [sys.executable]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    where = ["--master-addr=127.0.0.1", f"--master-port={port}"]
    return [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={world}", *where]


def _isolated(command: list[str]) -> list[str]:
    return [*OWN_NETWORK, *command] if _may_have_own_network() else command


def _may_have_own_network() -> bool:
    try:
        return subprocess.run([*OWN_NETWORK, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


if __name__ == "__main__":
    main()
