"""Which frames of a video say nothing: black ones, and those that hardly differ from the one before."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from mmtasks.data.video import Frame

BLACK = 16.0
"""Mean level, of 255, below which a frame is black if it also has hardly any contrast."""
CONTRAST = 8.0
FROZEN = 1.0
"""Mean difference in levels, of 255, below which a frame repeats the last that was kept."""


def is_black(image: np.ndarray, before: np.ndarray | None) -> bool:
    """Dark all over: the fade between scenes, the picture before a film begins."""
    return bool(image.mean() < BLACK and image.std() < CONTRAST)


def is_frozen(image: np.ndarray, before: np.ndarray | None) -> bool:
    """A duplicate of the last frame that was kept, but for the codec's noise."""
    return before is not None and bool(np.abs(image.astype(np.int16) - before).mean() < FROZEN)


STEPS: dict[str, Callable[[np.ndarray, np.ndarray | None], bool]] = {"black": is_black, "frozen": is_frozen}


def check_cleaning(steps: Sequence[str]) -> list[str]:
    """The steps, if all are known; else ValueError."""
    if unknown := [step for step in steps if step not in STEPS]:
        raise ValueError(f"clean {unknown[0]!r} is none of {', '.join(STEPS)}")
    return list(steps)


def keep(frames: Iterable[Frame], steps: Sequence[str]) -> Iterator[Frame]:
    """The frames that no step drops."""
    before: np.ndarray | None = None
    for frame in frames:
        if not any(STEPS[step](frame.image, before) for step in steps):
            before = frame.image
            yield frame
