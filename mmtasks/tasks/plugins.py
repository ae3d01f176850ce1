"""The Lightning plugins of every run."""

from collections.abc import Iterable
from typing import Any

from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.fabric.plugins.environments import SLURMEnvironment

from mmtasks.tasks.whole_checkpoints import WholeCheckpoints


def with_ours(given: Any) -> list[Any]:
    """Given plugins with those for checkpoints and SLURM, where there are none of that kind.

    Lightning's own handling of a SLURM job's last signal writes its checkpoint from within whatever runs at that
    moment, not between two steps.
    """
    several = isinstance(given, Iterable) and not isinstance(given, str)
    plugins = list(given) if several else [] if given is None else [given]
    if not any(isinstance(plugin, CheckpointIO) for plugin in plugins):
        plugins.append(WholeCheckpoints())
    if SLURMEnvironment.detect() and not any(isinstance(plugin, ClusterEnvironment) for plugin in plugins):
        plugins.append(SLURMEnvironment(auto_requeue=False))
    return plugins
