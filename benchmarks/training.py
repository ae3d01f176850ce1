"""Train a shipped config as the command line does, and test it."""

from pathlib import Path

from mmtasks.tasks.trained import Trained, train_and_test

CONFIGS = Path(__file__).parent.parent / "configs"
SEED = 0


def train(config: str, *options: str, seed: int = SEED) -> Trained:
    """Train and test a shipped config with a seed, of the weights and of what the data draw.

    config: one name, or several with ``+`` between them, each laid over those before.
    """
    return train_and_test(config_files(config), f"--seed_everything={seed}", f"--data.init_args.seed={seed}", *options)


def config_files(config: str) -> list[Path]:
    """Of shipped configs by name, with ``+`` between those that are laid one over another."""
    return [CONFIGS / f"{name}.yaml" for name in config.split("+")]


def percent(figures: dict[str, float], *names: str) -> dict[str, float]:
    """Those figures in percent."""
    return {name: 100 * figures[name] for name in names}
