"""The scores of a video over time, with the shots that were chosen."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmtasks.errors import UserError
from mmtasks.inference.storyboard import clock


def timeline(
    scores: np.ndarray,
    seconds: np.ndarray,
    shots: Sequence[tuple[float, float]],
    chosen: Sequence[int],
    output: Path,
    *,
    title: str = "",
) -> None:
    """Write a PNG: scores (T,) at seconds (T,), a line at each cut, the chosen shots shaded.

    Args:
        scores: of each step.
        seconds: when it is.
        shots: start and end of each, in seconds.
        chosen: which of them are in the summary.
        output: to write.
        title: above the curve.

    Raises:
        ValueError: scores and seconds are not of one length, there are no shots, or one is chosen that is not there.
        UserError: the PNG cannot be written.
    """
    if len(scores) != len(seconds):
        raise ValueError(f"{len(scores)} scores and {len(seconds)} seconds must be as many")
    if not len(shots):
        raise ValueError(f"shots {list(shots)} must be at least one (start, end)")
    if strange := set(chosen) - set(range(len(shots))):
        raise ValueError(f"chosen {sorted(strange)} must be among the shots 0 to {len(shots) - 1}")
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    figure = Figure(figsize=(10, 2.6), dpi=100)
    axes = figure.add_subplot()
    shaded = set(chosen)
    for index, (start, end) in enumerate(shots):
        if index in shaded:
            axes.axvspan(start, end, color="tab:orange", alpha=0.35, linewidth=0)
        axes.axvline(start, color="0.8", linewidth=0.5)
    axes.plot(seconds, scores, color="tab:blue", linewidth=1)
    axes.set(xlim=(0, shots[-1][1]), title=title[:100], ylabel="importance")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: clock(value)))
    try:
        figure.savefig(output, bbox_inches="tight")
    except OSError as error:
        raise UserError(f"{output}: cannot be written ({error.strerror}); choose another --output") from None
