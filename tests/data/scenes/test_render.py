import random

import numpy as np
import pytest

from mmtasks.data.scenes.render import PAINT, render
from mmtasks.data.scenes.scene import Item, Scene, sample_scene, twin
from mmtasks.data.scenes.splits import SHAPES


def middle(pixels: np.ndarray, colour: str) -> np.ndarray:
    """Mean (row, column) of the pixels near a colour."""
    near = np.abs(pixels.astype(int) - PAINT[colour]).max(axis=-1) < 16
    return np.argwhere(near).mean(axis=0)


def test_pixels_of_the_groups_stand_as_the_relation_says() -> None:
    rng = random.Random(0)
    for seed in range(40):
        scene = sample_scene(rng, "train")
        pixels = np.asarray(render(scene, seed=seed))
        first, second = (middle(pixels, group.colour) for group in scene.groups)
        axis = 1 if scene.horizontal else 0
        before = scene.relation in ("left of", "above")
        assert (first[axis] < 32 < second[axis]) if before else (second[axis] < 32 < first[axis])


def test_copies_do_not_touch_each_other_or_the_edge() -> None:
    groups = (Item("red", "square", "large", 3, 0.25, 0.62), Item("blue", "circle", "large", 3, 0.75, 0.38))
    for seed in range(10):
        pixels = np.asarray(render(Scene(groups, "left of"), size=128, seed=seed)).astype(int)
        painted = np.abs(pixels - pixels[0, 0]).max(axis=-1) > 4
        assert not (painted[0].any() or painted[-1].any() or painted[:, [0, -1]].any())
        for half in (painted[:, :64], painted[:, 64:]):
            filled = half.any(axis=1).astype(int)
            assert (np.diff(filled) == 1).sum() == 3


def test_the_same_seed_gives_the_same_pixels() -> None:
    scene = sample_scene(random.Random(2), "train")
    assert render(scene, seed=1).tobytes() == render(scene, seed=1).tobytes() != render(scene, seed=2).tobytes()


def test_twins_and_shapes_look_different() -> None:
    scene = sample_scene(random.Random(2), "train")
    pictures = {render(s).tobytes() for s in (scene, twin(scene, "attributes"), twin(scene, "relation"))}
    assert len(pictures) == 3
    anchor = Item("blue", "circle", "small", 1, 0.75, 0.5)
    shapes = [s for s in SHAPES if s != "circle"]
    drawn = {render(Scene((Item("red", s, "small", 1, 0.25, 0.5), anchor), "left of")).tobytes() for s in shapes}
    assert len(drawn) == len(shapes)


def test_size_is_kept_and_checked() -> None:
    scene = sample_scene(random.Random(2), "train")
    assert render(scene, size=48).size == (48, 48)
    with pytest.raises(ValueError, match="size must be at least 16, got 8"):
        render(scene, size=8)
