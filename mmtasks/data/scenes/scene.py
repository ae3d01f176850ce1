"""A scene: two groups of coloured shapes, one left of, right of, above or below the other. No words, no pixels here."""

import random
from dataclasses import dataclass, replace

from mmtasks.data.scenes.splits import COLOURS, COUNTS, SHAPES, SIZES, check_choice, combinations_of, signature_of

INVERSE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
RELATIONS = tuple(INVERSE)
TWINS = ("attributes", "relation")


@dataclass(frozen=True)
class Item:
    """A group of 1 to 3 copies of one coloured shape. x, y: its middle, in [0, 1] from the left and from the top."""

    colour: str
    shape: str
    size: str
    count: int
    x: float
    y: float

    def __post_init__(self) -> None:
        check_choice("colour", self.colour, COLOURS)
        check_choice("shape", self.shape, SHAPES)
        check_choice("size", self.size, SIZES)
        check_choice("count", self.count, COUNTS)
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise ValueError(f"x and y must be within 0 and 1, got {self.x} and {self.y}")

    @property
    def description(self) -> tuple[str, str, str, int]:
        """Everything but the place: colour, shape, size, count."""
        return self.colour, self.shape, self.size, self.count


@dataclass(frozen=True)
class Scene:
    """Two groups that differ in colour and in shape; the first stands in ``relation`` to the second."""

    groups: tuple[Item, Item]
    relation: str

    def __post_init__(self) -> None:
        check_choice("relation", self.relation, RELATIONS)
        if len(self.groups) != 2:
            raise ValueError(f"groups must be 2, got {len(self.groups)}")
        first, second = self.groups
        if first.colour == second.colour or first.shape == second.shape:
            raise ValueError(f"groups must differ in colour and shape, got {first.description}, {second.description}")
        before, after = (first, second) if self.relation in ("left of", "above") else (second, first)
        holds = before.x < 0.5 < after.x if self.horizontal else before.y < 0.5 < after.y
        if not holds:
            raise ValueError(f"groups at {first.x, first.y} and {second.x, second.y} are not {self.relation!r}")

    @property
    def horizontal(self) -> bool:
        """True where the groups stand side by side, False where one is above the other."""
        return self.relation in ("left of", "right of")

    @property
    def signature(self) -> str:
        """The combination of colours and shapes, which decides the split; shared with every twin."""
        return signature_of((g.colour for g in self.groups), (g.shape for g in self.groups))

    @property
    def key(self) -> tuple[tuple[str, str, str, int], str, tuple[str, str, str, int]]:
        """What can be said of the scene: equal for two scenes exactly when the same captions describe them."""
        first, second = (group.description for group in self.groups)
        if self.relation in ("left of", "above"):
            return first, self.relation, second
        return second, INVERSE[self.relation], first


def sample_scene(rng: random.Random, split: str, *, alike: bool = False) -> Scene:
    """Draw a scene of a split. ``alike``: both groups have one size and one count, as binding pairs need."""
    colours, shapes = (rng.sample(pair, 2) for pair in rng.choice(combinations_of(split)))
    sizes, counts = rng.choices(SIZES, k=2), rng.choices(COUNTS, k=2)
    if alike:
        sizes, counts = sizes[:1] * 2, counts[:1] * 2
    relation = rng.choice(RELATIONS)
    along = [rng.uniform(0.21, 0.29), rng.uniform(0.71, 0.79)]
    across = [rng.uniform(0.38, 0.62) for _ in range(2)]
    if relation in ("right of", "below"):
        along.reverse()
    places = zip(along, across, strict=True) if relation in ("left of", "right of") else zip(across, along, strict=True)
    whats = zip(colours, shapes, sizes, counts, strict=True)
    first, second = (Item(*what, *place) for what, place in zip(whats, places, strict=True))
    return Scene((first, second), relation)


def twin(scene: Scene, kind: str) -> Scene:
    """The scene with its two colours swapped ("attributes"), or with its two groups in each other's place ("relation").

    A twin's twin is the scene itself.
    """
    check_choice("kind", kind, TWINS)
    first, second = scene.groups
    if kind == "attributes":
        return replace(scene, groups=(replace(first, colour=second.colour), replace(second, colour=first.colour)))
    return replace(scene, groups=(replace(second, x=first.x, y=first.y), replace(first, x=second.x, y=second.y)))
