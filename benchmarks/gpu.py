"""Training on one GPU, seen step by step: samples a second, what they wait for, the share of the chip's peak, memory.

Training is that of ``mmtasks fit``. Each step is timed to the end of what it asked of the GPU.
"""

import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from time import perf_counter
from typing import Any, NamedTuple

import torch
from lightning import Callback
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.result import write_result
from benchmarks.training import SEED, config_files
from mmtasks.tasks.launch import launch
from mmtasks.types import Batch

PEAKS = {"H100 80GB HBM3": 989.4e12, "H200": 989.4e12, "A100-SXM": 312e12}
"""Operations a second of dense bfloat16 products, as NVIDIA's data sheets give them, of the SXM modules."""
SIDE, PRODUCTS = 8192, 20
"""Of the matrix product that tells what this chip reaches."""
KEPT = 8
"""Batches of a task, the last, whose operations are counted."""
SETTLED = 0.5
"""The share of a task's steps, the last, that counts: compiling and the first reading of the data come before."""


class Step(NamedTuple):
    """A training step. samples: in the batch; took: seconds; waited: seconds before, for the batch and whatever ended
    the epoch before it, as a checkpoint that was written.
    """

    samples: int
    waited: float
    took: float


class Meter(Callback):
    """Notes each step; at the end, the operations of a few batches of each task.

    Operations are those of forward and backward by blocks that are not compiled; what is recomputed counts too. Their
    rate is over the seconds that the steps of the same batches took.
    """

    def __init__(self) -> None:
        self.steps: dict[str, list[Step]] = defaultdict(list)
        self.rates: dict[str, float] = {}
        self.parameters = self.memory = 0
        self._batches: dict[str, list[tuple[Batch, int]]] = defaultdict(list)
        self._began = self._ended = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """The first batch is waited for from here."""
        self._ended = perf_counter()

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """The batch is there."""
        wait_for_gpu()
        self._began = perf_counter()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """The step is done."""
        wait_for_gpu()
        now = perf_counter()
        for task, part in by_task(pl_module, batch):
            self.steps[task].append(Step(len(part.ids), self._began - self._ended, now - self._began))
            self._batches[task] = [*self._batches[task], (part, len(self.steps[task]) - 1)][-KEPT:]
        self._ended = perf_counter()

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Count, while the weights are where they were trained."""
        self.parameters = sum(weight.numel() for weight in pl_module.parameters() if weight.requires_grad)
        self.memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        with torch.compiler.set_stance("force_eager"):
            for task, kept in self._batches.items():
                operations = sum(_count(pl_module, trainer.precision_plugin, task, batch) for batch, _ in kept)
                self.rates[task] = operations / sum(self.steps[task][number].took for _, number in kept)

    def settled(self, task: str) -> list[Step]:
        """The last steps of a task."""
        steps = self.steps[task]
        return steps[int(len(steps) * (1 - SETTLED)) :]


class Operations(TorchDispatchMode):
    """Counts those of matrix products, convolutions and attention; torch's own counter also follows modules, slowly."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Of each operation that torch has a formula for."""
        made = func(*args, **(kwargs or {}))
        if formula := flop_registry.get(func._overloadpacket):
            self.total += formula(*args, **(kwargs or {}), out_val=made)
        return made


def _count(model: Any, precision: Any, task: str, batch: Batch) -> int:
    model.zero_grad()
    with Operations() as counter:
        with precision.forward_context():
            loss = model.total(model.losses({task: batch}))
        loss.backward()
    return counter.total


def by_task(model: Any, batch: Any) -> Iterator[tuple[str, Batch]]:
    """A step's batches by the name of their objective."""
    yield from ({next(iter(model.objectives)): batch} if isinstance(batch, Batch) else batch).items()


def measure(name: str, config: str, *options: str) -> None:
    """Train under a meter, write the result of that name."""
    write_result(name, figures(train(config, *options)), seed=SEED, notes={"config": config})


def train(config: str, *options: str) -> Meter:
    """Train a shipped config, with overlays after ``+`` as in ``benchmarks.training.train``, under a meter."""
    configs = [f"--config={path}" for path in config_files(config)]
    with tempfile.TemporaryDirectory() as folder:
        fixed = [f"--trainer.default_root_dir={folder}", "--trainer.enable_progress_bar=false"]
        fixed += [
            "--trainer.limit_val_batches=0",
            "--trainer.callbacks+=benchmarks.gpu.Meter",
            f"--seed_everything={SEED}",
        ]
        trainer: Any = launch(["fit", *configs, *options, *fixed]).trainer
    return next(callback for callback in trainer.callbacks if isinstance(callback, Meter))


def figures(meter: Meter) -> dict[str, float]:
    """What a run's meter tells, by task and of all."""
    product = product_rate()
    found: dict[str, float] = {"parameters": meter.parameters}
    for task in meter.steps:
        steps = meter.settled(task)
        seconds = sum(step.waited + step.took for step in steps)
        rate = meter.rates[task]
        found |= {
            f"{task}_samples_per_second": sum(step.samples for step in steps) / seconds,
            f"{task}_step_ms": 1000 * statistics.median(step.took for step in steps),
            f"{task}_batch": statistics.mean(step.samples for step in steps),
            f"{task}_waiting_share": sum(step.waited for step in steps) / seconds,
            f"{task}_tflops": rate / 1e12,
            f"{task}_share_of_product": rate / product,
        }
        if peak := peak_rate():
            found[f"{task}_share_of_peak"] = rate / peak
    last = [step for task in meter.steps for step in meter.settled(task)]
    found["waiting_share"] = sum(s.waited for s in last) / sum(s.waited + s.took for s in last)
    found["product_tflops"] = product / 1e12
    found["peak_memory_gb"] = meter.memory / 2**30
    return found


def chip() -> str:
    """What trains."""
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"


def peak_rate() -> float | None:
    """Operations a second of the data sheet, where it is known."""
    return next((peak for name, peak in PEAKS.items() if name in chip()), None)


def product_rate() -> float:
    """Operations a second of a large bfloat16 matrix product on this chip."""
    gpu = torch.cuda.is_available()
    side = SIDE if gpu else SIDE // 16
    one, other = (torch.randn(side, side, dtype=torch.bfloat16, device="cuda" if gpu else "cpu") for _ in range(2))
    times = []
    for _ in range(PRODUCTS):
        start = perf_counter()
        torch.mm(one, other)
        wait_for_gpu()
        times.append(perf_counter() - start)
    return 2 * side**3 / statistics.median(times)


def wait_for_gpu() -> None:
    """Until it has done all it was asked."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
