"""Memory that is given back."""

import os
import platform
from pathlib import Path

import pytest
import torch

from mmtasks.memory import give_back

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc_trim is glibc's")


def resident() -> float:
    """MB of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@glibc
def test_gaps_between_what_is_kept_are_given_back() -> None:
    blocks = [torch.ones(25_000) for _ in range(1000)]  # 100 kB each: in the heap, not mapped one by one
    kept = blocks[::50]
    before = resident()
    del blocks
    give_back()
    assert before - resident() > 50 and len(kept) == 20
