"""Train a shipped config as the command line does, and test it."""

from pathlib import Path

from mmtasks.tasks.trained import Trained, train_and_test

CONFIGS = Path(__file__).parent.parent / "configs"
SEED = 0


def train(config: str, *options: str, seed: int = SEED) -> Trained:
    """Train and test a shipped config with a seed, of the weights and of what the data draw.

    config: one name, or several with ``+`` between them, each laid over those before.
    """
    configs = [CONFIGS / f"{name}.yaml" for name in config.split("+")]
    return train_and_test(configs, f"--seed_everything={seed}", f"--data.init_args.seed={seed}", *options)


def percent(figures: dict[str, float], *names: str) -> dict[str, float]:
    """Those figures in percent."""
    return {name: 100 * figures[name] for name in names}
