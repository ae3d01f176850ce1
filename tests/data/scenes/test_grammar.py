import random
from collections import Counter

import pytest

from mmtasks.data.scenes.grammar import TEMPLATES, caption_with_template, captions
from mmtasks.data.scenes.pairs import binding_pairs, distinct_scenes
from mmtasks.data.scenes.render import render
from mmtasks.data.scenes.scene import Item, Scene, twin

SCENE = Scene(
    (Item("red", "cross", "small", 2, 0.25, 0.5), Item("orange", "circle", "large", 1, 0.75, 0.45)), "left of"
)


def test_plurals_articles_and_inverse_relations() -> None:
    assert caption_with_template(SCENE, 0) == "two small red crosses to the left of a large orange circle"
    assert caption_with_template(SCENE, 1) == "a large orange circle to the right of two small red crosses"
    assert caption_with_template(SCENE, 2).startswith("there are two small red crosses")
    assert caption_with_template(SCENE, 3).startswith("there is a large orange circle")


def test_captions_of_a_scene_differ_and_repeat_with_the_seed() -> None:
    said = captions(SCENE, random.Random(0), TEMPLATES)
    assert len(set(said)) == TEMPLATES
    assert said == captions(SCENE, random.Random(0), TEMPLATES)
    assert all({"small", "red", "large", "orange", "circle"} <= set(caption.split()) for caption in said)


def test_no_caption_describes_two_distinct_scenes() -> None:
    scenes = distinct_scenes(100, random.Random(0), "train")
    said = Counter(caption_with_template(scene, index) for scene in scenes for index in range(TEMPLATES))
    assert max(said.values()) == 1


def test_binding_pairs_have_the_same_words_in_another_order_and_other_pictures() -> None:
    for k, ((scene, caption), (other, swapped)) in enumerate(binding_pairs(60, 1, "test")):
        assert Counter(caption.split()) == Counter(swapped.split())
        assert caption != swapped
        assert render(scene, size=32).tobytes() != render(other, size=32).tobytes()
        assert other == twin(scene, ("attributes", "relation")[k % 2])


def test_binding_pairs_repeat_with_the_seed() -> None:
    assert binding_pairs(5, 1, "test") == binding_pairs(5, 1, "test") != binding_pairs(5, 2, "test")


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="captions must be 1 to 16, got 17"):
        captions(SCENE, random.Random(0), 17)
    with pytest.raises(ValueError, match="template_index must be 0 to 15, got 16"):
        caption_with_template(SCENE, 16)
    with pytest.raises(ValueError, match="number must be 1 to"):
        binding_pairs(0)
