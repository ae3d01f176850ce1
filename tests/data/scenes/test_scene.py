import random
from dataclasses import replace

import pytest

from mmtasks.data.scenes.pairs import distinct_scenes, twin_pairs
from mmtasks.data.scenes.scene import RELATIONS, TWINS, Item, Scene, sample_scene, twin
from mmtasks.data.scenes.splits import SPLITS, combinations_of, signature_of, split_of

SCENE = Scene((Item("red", "square", "small", 2, 0.25, 0.5), Item("blue", "circle", "large", 1, 0.75, 0.45)), "left of")


def test_the_same_seed_draws_the_same_scenes() -> None:
    first, again = ([sample_scene(rng, "train") for _ in range(5)] for rng in (random.Random(3), random.Random(3)))
    assert first == again
    assert first != [sample_scene(random.Random(4), "train") for _ in range(5)]


def test_splits_share_no_signature_and_have_about_the_asked_shares() -> None:
    owned = {split: {signature_of(*c) for c in combinations_of(split)} for split in SPLITS}
    total = sum(map(len, owned.values()))
    assert total == len(set.union(*owned.values())) == 28 * 15
    for split, share in zip(SPLITS, (0.7, 0.1, 0.2), strict=True):
        assert abs(len(owned[split]) / total - share) < 0.05


@pytest.mark.parametrize("split", SPLITS)
def test_a_scene_and_its_twins_lie_in_the_split_asked_for(split: str) -> None:
    rng = random.Random(0)
    for scene in (sample_scene(rng, split) for _ in range(50)):
        assert {split_of(s.signature) for s in (scene, twin(scene, "attributes"), twin(scene, "relation"))} == {split}


def test_twins_swap_what_they_say() -> None:
    attributes, relation = (twin(SCENE, kind) for kind in TWINS)
    assert [(g.colour, g.shape, g.size) for g in attributes.groups] == [
        ("blue", "square", "small"),
        ("red", "circle", "large"),
    ]
    assert relation.key == (SCENE.groups[1].description, "left of", SCENE.groups[0].description)
    assert all(twin(twin(SCENE, kind), kind) == SCENE for kind in TWINS)


def test_the_key_does_not_depend_on_the_order_of_groups() -> None:
    assert Scene(SCENE.groups[::-1], "right of").key == SCENE.key
    assert twin(SCENE, "relation").key != SCENE.key


def test_every_relation_holds_in_the_places_drawn() -> None:
    rng = random.Random(1)
    scenes = [sample_scene(rng, "train") for _ in range(80)]
    assert {scene.relation for scene in scenes} == set(RELATIONS)
    for scene in scenes:
        (a, b), horizontal = scene.groups, scene.horizontal
        assert (abs(a.x - b.x) > abs(a.y - b.y)) == horizontal


def test_scenes_never_repeat() -> None:
    alone = distinct_scenes(300, random.Random(0), "val")
    paired = [scene for pair in twin_pairs(150, random.Random(0), "val") for scene in pair]
    for scenes in (alone, paired):
        assert len({scene.key for scene in scenes}) == 300


def test_bad_scenes_are_refused() -> None:
    first, second = SCENE.groups
    with pytest.raises(ValueError, match=r"colour must be one of red.*'mauve'"):
        replace(first, colour="mauve")
    with pytest.raises(ValueError, match="differ in colour and shape"):
        Scene((first, replace(second, colour="red")), "left of")
    with pytest.raises(ValueError, match="not 'right of'"):
        Scene((first, second), "right of")
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        sample_scene(random.Random(0), "dev")
    with pytest.raises(ValueError, match="number must be 1 to"):
        distinct_scenes(10**6, random.Random(0), "val")
