"""Train a shipped config as the command line does, and test it."""

import time
from dataclasses import dataclass
from pathlib import Path

from mmtasks.tasks.launch import launch

CONFIGS = Path(__file__).parent.parent / "configs"
SEED = 0


@dataclass
class Trained:
    """A finished run. figures: what the test logged, by name; minutes: of training, data preparation included."""

    figures: dict[str, float]
    minutes: float
    parameters: int
    folder: Path

    @property
    def checkpoint(self) -> Path:
        """The last checkpoint."""
        return self.folder / "checkpoints" / "last.ckpt"


def train(config: str, *options: str, seed: int = SEED) -> Trained:
    """``mmtasks fit --config configs/CONFIG.yaml OPTIONS``, then ``test`` of the weights it ends with.

    config: one name, or several with ``+`` between them, each laid over those before.
    """
    start = time.perf_counter()
    configs = [f"--config={CONFIGS / name}.yaml" for name in config.split("+")]
    cli = launch(["fit", *configs, "--seed_everything", str(seed), *options])
    minutes = (time.perf_counter() - start) / 60
    tested = cli.trainer.test(cli.model, cli.datamodule, verbose=False)[0]
    figures = {name.removeprefix("test/"): float(value) for name, value in tested.items()}
    parameters = sum(weight.numel() for weight in cli.model.parameters() if weight.requires_grad)
    return Trained(figures, minutes, parameters, Path(cli.trainer.default_root_dir))


def percent(figures: dict[str, float], *names: str) -> dict[str, float]:
    """Those figures in percent."""
    return {name: 100 * figures[name] for name in names}
