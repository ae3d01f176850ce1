"""Give memory back to the system."""

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Whatever was freed but is still held, where the C library can (glibc); elsewhere nothing.

    glibc keeps what lies between blocks that are still in use. Work that allocates large blocks in several threads and
    keeps small ones of each step grows by those gaps, see decision 0043.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@functools.cache
def _trim() -> Callable[[int], int] | None:
    try:
        return getattr(ctypes.CDLL(None), "malloc_trim", None)
    except (OSError, TypeError):  # no C library by that name
        return None
