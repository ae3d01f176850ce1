"""Many scenes that never repeat, alone or with their twins, and the pairs that probe binding."""

import random
from collections.abc import Hashable

from mmtasks.data.scenes.grammar import TEMPLATES, caption_with_template
from mmtasks.data.scenes.scene import TWINS, Scene, sample_scene, twin
from mmtasks.data.scenes.splits import COUNTS, SIZES, combinations_of

BindingPair = list[tuple[Scene, str]]
"""A scene and its twin, each with its caption; both captions have the same words."""


def number_of_scenes(split: str, *, alike: bool = False) -> int:
    """How many scenes of a split can be told apart by words: 2 bindings, 4 arrangements, sizes and counts."""
    kinds = len(SIZES) * len(COUNTS)
    return len(combinations_of(split)) * 2 * 4 * (kinds if alike else kinds**2)


def distinct_scenes(number: int, rng: random.Random, split: str) -> list[Scene]:
    """``number`` scenes, no two of which the same caption describes. ValueError where the split has fewer."""
    check_number(number, number_of_scenes(split))
    found: dict[Hashable, Scene] = {}
    while len(found) < number:
        scene = sample_scene(rng, split)
        found.setdefault(scene.key, scene)
    return list(found.values())


def twin_pairs(number: int, rng: random.Random, split: str, *, alike: bool = False) -> list[tuple[Scene, Scene]]:
    """``number`` scenes with their twins, "attributes" and "relation" in turn; no scene occurs twice.

    Swapping colours, places or both makes four scenes of one: each such four gives one pair at most. ValueError where
    the split has fewer.
    """
    check_number(number, number_of_scenes(split, alike=alike) // 4)
    found: list[tuple[Scene, Scene]] = []
    seen: set[Hashable] = set()
    while len(found) < number:
        scene = sample_scene(rng, split, alike=alike)
        if scene.key in seen:
            continue
        swapped = twin(scene, "attributes")
        seen.update(s.key for one in (scene, swapped) for s in (one, twin(one, "relation")))
        found.append((scene, twin(scene, TWINS[len(found) % 2])))
    return found


def binding_pairs(number: int, seed: int = 0, split: str = "test") -> list[BindingPair]:
    """``number`` pairs [(scene, caption), (twin, caption)] whose captions are the same words in another order.

    Even pairs have their colours swapped, odd ones their places, so only what belongs to what tells the two apart
    (the idea of Winoground, Thrush et al. 2022).
    """
    rng = random.Random(f"binding {split} {seed}")
    pairs = []
    for scenes in twin_pairs(number, rng, split, alike=True):
        template = rng.randrange(TEMPLATES)
        pairs.append([(scene, caption_with_template(scene, template)) for scene in scenes])
    return pairs


def check_number(number: int, most: int) -> None:
    """Raise ValueError unless ``number`` is 1 to ``most``."""
    if not 1 <= number <= most:
        raise ValueError(f"number must be 1 to {most} for this split, got {number}")
