"""Which sampled frames are left out."""

import numpy as np
import pytest

from mmtasks.data.video_clean import FrameCleaner


def flat(level: int) -> np.ndarray:
    return np.full((40, 60, 3), level, dtype=np.uint8)


def noise(seed: int, *, height: int = 40) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, 60, 3), dtype=np.uint8)


def kept(steps, images) -> list[int]:
    return np.flatnonzero(FrameCleaner(steps).mask(images)).tolist()


def test_without_steps_every_frame_stays():
    assert kept([], [flat(0), flat(0)]) == [0, 1]


def test_black_frames_go_but_night_stays():
    night = flat(5)
    night[10:14, 10:30] = 255  # a lamp
    assert kept(["black"], [flat(0), flat(20), night, flat(60), noise(0)]) == [2, 3, 4]
    assert kept([{"black": {"level": 0.3, "share": 0.9}}], [flat(20), night, flat(60), flat(90)]) == [3]


def test_frozen_frames_go_until_something_moves():
    grain = noise(1)
    again = np.clip(grain.astype(int) + np.random.default_rng(2).integers(-2, 3, grain.shape), 0, 255).astype(np.uint8)
    assert kept(["frozen"], [grain, again, grain, noise(3), grain]) == [0, 3, 4]


def test_a_slow_fade_is_not_frozen():
    fade = [flat(100 + k // 2) for k in range(60)]  # each frame differs from the one before by half a level
    assert len(kept(["frozen"], fade)) == 15


def test_duplicates_go_wherever_they_come():
    assert kept(["duplicate"], [noise(1), noise(2), noise(1), flat(9), noise(2), flat(9)]) == [0, 1, 3]
    assert kept([{"duplicate": 0.5}], [flat(0), flat(100), flat(200)]) == [0, 2]


def test_what_one_step_leaves_out_the_next_does_not_see():
    assert kept(["black", "frozen"], [flat(90), flat(0), flat(90)]) == [0]
    assert kept(["frozen", "black"], [flat(90), flat(0), flat(90)]) == [0, 2]


def test_each_video_starts_anew():
    cleaner = FrameCleaner(["duplicate"])
    assert cleaner.mask([flat(90)]).all()
    assert cleaner.mask([flat(90)]).all()


@pytest.mark.parametrize(
    ("step", "named"),
    [
        ("blank", "blank"),
        ({"black": {"share": 0}}, "share 0"),
        ({"black": {"dark": 1}}, "dark"),
        ({"frozen": 2}, "threshold 2"),
        ({"black": 0.1, "frozen": 0.1}, "black"),
        (3, "3"),
    ],
)
def test_bad_steps_are_named(step, named):
    with pytest.raises(ValueError, match=named):
        FrameCleaner([step])
