"""Named steps that leave out sampled frames of a video which show nothing, or nothing new."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from mmtasks.configured import Configured

THUMBNAIL = 32
"""Pixels a side of what the steps look at."""
Keep = Callable[[np.ndarray], bool]
"""Whether to keep a thumbnail (32, 32), brightness from 0 to 1; called in the order of showing."""


class Black(Configured):
    """Leaves out black frames.

    Args:
        level: brightness from 0 to 1 up to which a pixel is black.
        share: of pixels, above 0 and up to 1, that must be.
    """

    def __init__(self, level: float = 0.1, *, share: float = 0.98) -> None:
        if not 0 <= level < 1:
            raise ValueError(f"level {level} must be at least 0 and below 1")
        if not 0 < share <= 1:
            raise ValueError(f"share {share} must be above 0 and at most 1")
        self.level = level
        self.share = share

    def start(self) -> Keep:
        """For one video."""
        return lambda seen: bool((seen <= self.level).mean() < self.share)


class Frozen(Configured):
    """Leaves out frames that look like the last one kept.

    Args:
        threshold: mean difference of brightness, from 0 to 1, up to which two frames look alike.
    """

    def __init__(self, threshold: float = 0.004) -> None:
        self.threshold = _checked(threshold)

    def start(self) -> Keep:
        """For one video."""
        last: list[np.ndarray] = []

        def keep(seen: np.ndarray) -> bool:
            if last and np.abs(seen - last[0]).mean() <= self.threshold:
                return False
            last[:] = [seen]
            return True

        return keep


class Duplicate(Configured):
    """Leaves out frames that look like any that was kept before, as in a loop or a title that comes again.

    Args:
        threshold: mean difference of brightness, from 0 to 1, up to which two frames look alike.
    """

    def __init__(self, threshold: float = 0.004) -> None:
        self.threshold = _checked(threshold)

    def start(self) -> Keep:
        """For one video. Compares only frames of about the same mean, from which no two that are alike differ."""
        kept: list[np.ndarray] = []
        means = np.empty(0)

        def keep(seen: np.ndarray) -> bool:
            nonlocal means
            alike = np.flatnonzero(np.abs(means - seen.mean()) <= self.threshold)
            if any(np.abs(seen - kept[k]).mean() <= self.threshold for k in alike):
                return False
            kept.append(seen.astype(np.float16))
            means = np.append(means, seen.mean())
            return True

        return keep


FRAME_STEPS: dict[str, type[Black] | type[Frozen] | type[Duplicate]] = {
    "black": Black,
    "frozen": Frozen,
    "duplicate": Duplicate,
}
Step = str | dict[str, Any]


class FrameCleaner(Configured):
    """Named steps: ``black``, ``frozen``, ``duplicate``, or ``{name: argument}``, a number or a dict of arguments.

    Args:
        steps: in this order; what one leaves out the next does not see.

    >>> dark, bright = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 200, np.uint8)
    >>> FrameCleaner(["black", "frozen"]).mask([dark, bright, bright, dark]).tolist()
    [False, True, False, False]
    """

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.steps = list(steps)
        self._steps = [_make(step) for step in self.steps]

    def start(self) -> Callable[[np.ndarray], bool]:
        """For one video: says of each frame (H, W, 3) uint8 whether to keep it."""
        started = [step.start() for step in self._steps]
        return lambda image: all(keep(seen) for seen in [_thumbnail(image)] for keep in started) if started else True

    def mask(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """Which frames (H, W, 3) uint8 of one video to keep (T,) bool."""
        keep = self.start()
        return np.array([keep(image) for image in images], dtype=bool)


def _thumbnail(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> brightness (32, 32) float32 from 0 to 1."""
    small = Image.fromarray(image).convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255


def _make(step: Step) -> Black | Frozen | Duplicate:
    name, argument = next(iter(step.items())) if isinstance(step, dict) and len(step) == 1 else (step, {})
    if not isinstance(name, str) or name not in FRAME_STEPS:
        raise ValueError(f"clean step {step!r} is none of {list(FRAME_STEPS)}, alone or as {{name: argument}}")
    try:
        return FRAME_STEPS[name](**argument) if isinstance(argument, dict) else FRAME_STEPS[name](argument)
    except TypeError as error:
        raise ValueError(f"clean step {step!r}: {error}") from None


def _checked(threshold: float) -> float:
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold {threshold} must be at least 0 and below 1")
    return threshold
