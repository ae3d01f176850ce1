"""Random states travel through a checkpoint that holds nothing but plain values."""

import random
from pathlib import Path

import numpy as np
import torch

from mmtasks.tasks.random_states import random_state, set_random_state


def _draws() -> tuple[float, float, float, float]:
    return random.gauss(0, 1), float(np.random.rand()), float(np.random.randn()), float(torch.rand(()))


def test_draws_repeat_from_a_saved_state(tmp_path: Path) -> None:
    np.random.randn()  # leaves its pair behind: part of the state
    torch.save(random_state(), tmp_path / "state.pt")
    first = _draws()
    assert _draws() != first
    set_random_state(torch.load(tmp_path / "state.pt", weights_only=True))
    assert _draws() == first
