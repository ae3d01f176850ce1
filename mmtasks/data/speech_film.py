"""What was filmed while somebody spoke: at an even rate, and in step with what is heard."""

import math
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mmtasks.data.video import probe
from mmtasks.data.video_features import Steps, VideoProcessor
from mmtasks.errors import UserError


class Film(ABC):
    """What was filmed beside a recording, opened when called."""

    def check(self) -> None:  # noqa: B027 - what is drawn can always be opened
        """Look whether it can be opened, which takes less than opening it.

        Raises:
            UserError: it cannot.
        """

    @abstractmethod
    def __call__(self, video: VideoProcessor) -> Tensor:
        """Steps (T, …) at the processor's even rate, from the recording's start on.

        Raises:
            UserError: it cannot be opened.
        """


class FilmFile(Film):
    """The part of a video file that belongs to a recording.

    Args:
        path: the file.
        where: names the row in messages.
        start: seconds into the file.
        end: seconds into the file; None for its end.
    """

    def __init__(self, path: Path, where: str, *, start: float = 0.0, end: float | None = None) -> None:
        self.path = path
        self.where = where
        self.start = start
        self.end = end

    def check(self) -> None:
        """Read the header and the first picture."""
        try:
            probe(self.path)
        except UserError as error:
            raise UserError(f"{self.where}: {error}") from None

    def __call__(self, video: VideoProcessor) -> Tensor:
        """Steps (T, …) of the part."""
        found = evenly(video(self.path), video.rate)
        return found[round(self.start * video.rate) : None if self.end is None else math.ceil(self.end * video.rate)]


def evenly(steps: Steps, rate: float) -> Tensor:
    """One step (T, …) for every interval of ``1 / rate`` seconds; one that has none shows what was seen last."""
    ends = np.arange(1, math.floor(steps.seconds[-1] * rate + 1e-6) + 2) / rate
    return steps.data[np.searchsorted(steps.seconds, ends - 1e-6) - 1]


def in_step(film: Tensor, rate: float, *, start: float, seconds: float, speed: float = 1.0) -> Tensor:
    """What is seen while a part of the recording plays, ``speed`` times as fast as it was recorded.

    Args:
        film: (T, …), from the recording's start on.
        rate: steps a second, before and after.
        start: of the part, in seconds of the recording.
        seconds: of the recording that the part holds.
        speed: of playing.

    >>> in_step(torch.arange(10), 5, start=0.4, seconds=1.2, speed=2.0)
    tensor([2, 4, 6])
    """
    moments = start + torch.arange(math.ceil(seconds / speed * rate)) * speed / rate
    chosen = (moments * rate).round().long()
    return film[chosen[chosen < len(film)]]
