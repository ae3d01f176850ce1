"""What every source of videos to summarize gives."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from mmtasks.types import Annotation


@dataclass(frozen=True)
class SummaryRow:
    """One video to summarize, of which the model sees T steps.

    ``load`` gives the steps when called: (T, D) float32 features, (T, P, D) of P places of each step, or (T, 3, H, W)
    float32 pixels in [0, 1]; ``where`` names the row in messages, as "file.h5:video_1"; ``title`` says what matters, ""
    where nothing does; ``target`` is
    (T,) float32 in [0, 1], what to learn, None where nobody judged; ``seconds`` is (T,), when each step is shown, None
    where only the frame rate tells; ``sound`` gives what is heard around each step when called, (T, D) float32, and is
    None for a silent video.
    """

    id: str
    where: str
    load: Callable[[], Tensor]
    annotation: Annotation
    title: str = ""
    target: np.ndarray | None = None
    seconds: np.ndarray | None = None
    sound: Callable[[], Tensor] | None = None


class SummarySource(Sequence[SummaryRow]):
    """A sequence of rows. ``problems`` lists rows that were left out, one line each."""

    problems: tuple[str, ...] | list[str] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Any) -> Any: ...
