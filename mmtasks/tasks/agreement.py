"""Whether a model and the run that trains it fit each other: what does not is said before the first step."""

from lightning.pytorch.strategies import ModelParallelStrategy, Strategy

from mmtasks.errors import UserError


def check_strategy(measuring: list[str], strategy: Strategy) -> None:
    """Gradients on the fusion are measured in one process, so each must have all of its weights.

    Args:
        measuring: the options that have them measured.
        strategy: how processes train together.

    Raises:
        UserError: the weights are divided.
    """
    if measuring and isinstance(strategy, ModelParallelStrategy):
        raise UserError(
            f"{measuring[0]} measures gradients on whole weights, which FSDP2 divides: leave it out, or take ddp.yaml "
            f"instead of fsdp.yaml"
        )
