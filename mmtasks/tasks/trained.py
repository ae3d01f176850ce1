"""Train as the command line does, then test."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmtasks.data.base import TaskData
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.launch import launch


@dataclass
class Trained:
    """A finished run. figures: what the test logged, by name; minutes: of training, data preparation included."""

    task: TaskModule
    data: TaskData
    figures: dict[str, float]
    minutes: float
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.folder / "checkpoints" / "last.ckpt"

    def of(self, objective: str) -> dict[str, float]:
        """The figures of one of several objectives, by name."""
        start = f"{objective}/"
        return {name.removeprefix(start): value for name, value in self.figures.items() if name.startswith(start)}

    @property
    def parameters(self) -> int:
        """How many weights are trained."""
        return sum(weight.numel() for weight in self.task.parameters() if weight.requires_grad)


def train_and_test(configs: Sequence[Path], *options: str) -> Trained:
    """``mmtasks fit --config CONFIG … OPTIONS``, configs laid one over another; ``test`` of its last weights."""
    start = time.perf_counter()
    cli = launch(["fit", *(f"--config={config}" for config in configs), *options])
    minutes = (time.perf_counter() - start) / 60
    tested = cli.trainer.test(cli.model, cli.datamodule, verbose=False)[0]
    figures = {name.removeprefix("test/"): float(value) for name, value in tested.items()}
    return Trained(cli.model, cli.datamodule, figures, minutes, Path(cli.trainer.default_root_dir))
