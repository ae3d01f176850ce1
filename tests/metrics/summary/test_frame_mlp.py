"""The row of a table that knows single frames only."""

import numpy as np
import pytest
import torch
from torch import Tensor

from mmtasks.metrics.summary import frame_mlp, kendall, per_frame_mlp


def _videos(number: int, shape: tuple[int, ...], seed: int = 0) -> list[Tensor]:
    return list(torch.rand(number, 60, *shape, generator=torch.Generator().manual_seed(seed)))


def _brightness(steps: Tensor) -> np.ndarray:
    """What the first feature, place or colour says."""
    first = steps[:, 0] if steps.ndim != 3 else steps[:, :, 0]
    return first.flatten(1).mean(dim=1).numpy() if first.ndim > 1 else first.numpy()


@pytest.mark.parametrize("shape", [(4,), (3, 4), (3, 8, 8)], ids=["features", "places", "pixels"])
def test_what_a_single_frame_tells_is_learned(shape: tuple[int, ...]) -> None:
    learned, asked = _videos(20, shape), _videos(3, shape, seed=1)
    if len(shape) == 3:  # a tint of the whole picture
        learned, asked = ([steps[..., :1, :1].expand_as(steps) for steps in videos] for videos in (learned, asked))
    found = per_frame_mlp(learned, [_brightness(steps) for steps in learned], asked)
    for scores, steps in zip(found, asked, strict=True):
        assert kendall(scores, _brightness(steps)[None])[0] > 0.6


def test_the_seed_decides_and_nothing_else_is_drawn() -> None:
    learned = _videos(2, (4,))
    targets = [_brightness(steps) for steps in learned]
    state = torch.get_rng_state()
    with torch.inference_mode():  # as in a test of Lightning
        first, again, other = (per_frame_mlp(learned, targets, learned, seed=seed)[0] for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_of_many_steps_some_are_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_mlp, "STEPS", 50)
    seen: list[int] = []
    monkeypatch.setattr(frame_mlp, "_train", lambda network, x, y: seen.extend((len(x), len(y))))
    learned = _videos(4, (2,))
    per_frame_mlp(learned, [_brightness(steps) for steps in learned], learned)
    assert seen == [48, 48]  # every fifth of 60 steps, four times
