"""How fast frames come, and whether a file tells when each is shown."""

import math
from typing import Any


def frame_rate(stream: Any) -> float:
    """Frames a second: on average; in a bare stream, whose average is made up, as the codec states it; else 25."""
    from av.format import Flags

    told = (stream.average_rate, stream.guessed_rate)
    if stream.container.format.flags & Flags.no_timestamps.value:
        told = told[::-1]
    rate = float(next(filter(None, told), 0))
    return rate if 0 < rate < math.inf else 25.0


def is_counted(stream: Any) -> bool:
    """Whether frames must be counted from the first on: AVI tells when each is stored, and the codec reorders them."""
    return stream.container.format.name == "avi" and bool(stream.codec_context.has_b_frames)
