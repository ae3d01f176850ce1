"""What can be said of a scene: lower-case words without punctuation; size, count, colour, shape and relation always.

Template ``2 * form`` mentions the scene's first group as the one placed, ``2 * form + 1`` its second, with the inverse
relation.
"""

import random

from mmtasks.data.scenes.scene import INVERSE, Item, Scene

FORMS = (
    ("{a} {relation} {b}", 0),
    ("there {be} {a} {relation} {b}", 0),
    ("{relation} {b} you can see {a}", 0),
    ("{a} {be} {relation} {b}", 1),
    ("{relation} {b} there {be} {a}", 1),
    ("a picture of {a} {relation} {b}", 1),
    ("you can see {a} {relation} {b}", 0),
    ("{relation} {b} {be} {a}", 0),
)
"""Pattern, and which wording of the relation it takes."""
WORDINGS = {
    "left of": ("to the left of", "left of"),
    "right of": ("to the right of", "right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
}
NUMBERS = {1: "", 2: "two", 3: "three"}
TEMPLATES = 2 * len(FORMS)


def phrase(item: Item) -> str:
    """A group in words: "two small red squares", "a large blue circle"."""
    words = f"{item.size} {item.colour} {item.shape}"
    if item.count == 1:
        return f"{article(words)} {words}"
    return f"{NUMBERS[item.count]} {words}{'es' if item.shape.endswith('s') else 's'}"


def article(words: str) -> str:
    """Give "an" before a vowel, else "a"."""
    return "an" if words[0] in "aeiou" else "a"


def caption_with_template(scene: Scene, template_index: int) -> str:
    """The caption of one template, 0 to ``TEMPLATES`` - 1. ValueError for another index."""
    if not 0 <= template_index < TEMPLATES:
        raise ValueError(f"template_index must be 0 to {TEMPLATES - 1}, got {template_index}")
    form, inverted = divmod(template_index, 2)
    pattern, wording = FORMS[form]
    placed, anchor = reversed(scene.groups) if inverted else scene.groups
    relation = INVERSE[scene.relation] if inverted else scene.relation
    return pattern.format(
        a=phrase(placed),
        b=phrase(anchor),
        be="is" if placed.count == 1 else "are",
        relation=WORDINGS[relation][wording],
    )


def captions(scene: Scene, rng: random.Random, number: int) -> list[str]:
    """``number`` different captions of a scene, 1 to ``TEMPLATES``. ValueError for another number."""
    check_number_of_captions(number)
    return [caption_with_template(scene, index) for index in rng.sample(range(TEMPLATES), number)]


def check_number_of_captions(number: int) -> None:
    """Raise ValueError unless a scene has that many captions."""
    if not 1 <= number <= TEMPLATES:
        raise ValueError(f"captions must be 1 to {TEMPLATES}, got {number}")
