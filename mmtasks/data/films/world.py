"""A film: shots of moving coloured shapes, in most of which one thing happens. No words, no pixels, no ratings here."""

import random
from dataclasses import dataclass

from mmtasks.data.films.motion import LANES, Path, collide, cross, turned
from mmtasks.data.scenes.render import RADIUS
from mmtasks.data.scenes.splits import SIZES, check_choice, combinations_of

OPPOSITE = {
    "collision": "colour change",
    "colour change": "collision",
    "appearance": "departure",
    "departure": "appearance",
}
"""Kinds of events; who came for one kind is bored most by its opposite."""
KINDS = tuple(OPPOSITE)
FPS = 2.0
"""Frames a second."""


@dataclass(frozen=True)
class Actor:
    """One coloured shape of a shot. path: its middle in every frame."""

    colour: str
    shape: str
    size: str
    path: Path


@dataclass(frozen=True)
class Event:
    """What happens in frames ``first`` to ``last`` of the film.

    actor: to which of the shot's actors; place: where two shapes meet; becomes: the new colour.
    """

    kind: str
    first: int
    last: int
    actor: int = 0
    place: tuple[float, float] = (0.0, 0.0)
    becomes: str = ""

    def __post_init__(self) -> None:
        check_choice("kind", self.kind, KINDS)
        if not 0 <= self.first <= self.last:
            raise ValueError(f"an event must start at 0 or later and before it ends, got {self.first} to {self.last}")


@dataclass(frozen=True)
class Shot:
    """Frames ``first`` to ``last`` of the film without a cut; at most one event."""

    first: int
    last: int
    actors: tuple[Actor, ...]
    event: Event | None = None


@dataclass(frozen=True)
class Film:
    """Shots that follow each other.

    colours and shapes: the two of each that it is made of, which decide its split; named: the two opposite kinds that
    its titles ask for.
    """

    shots: tuple[Shot, ...]
    colours: tuple[str, str]
    shapes: tuple[str, str]
    named: tuple[str, str]

    @property
    def n_frames(self) -> int:
        """How many frames there are."""
        return self.shots[-1].last + 1

    @property
    def events(self) -> list[Event]:
        """All that happens, in order."""
        return [shot.event for shot in self.shots if shot.event]


def draw_film(split: str, rng: random.Random) -> Film:
    """A film of a split, 64 to 122 frames: three or four events of each kind named, two or three of the others.

    Every event has two quiet frames or more on either side, and one or two shots are quiet throughout. ValueError for
    an unknown split.
    """
    colours, shapes = rng.choice(combinations_of(split))
    kind = rng.choice(KINDS)
    named = kind, OPPOSITE[kind]
    kinds: list[str] = [*named * 3, *[other for other in KINDS if other not in named] * 2]
    if rng.random() < 0.5:
        kinds.append(rng.choice(KINDS))
    order = [*kinds, *[""] * rng.randint(1, 2)]
    rng.shuffle(order)
    shots: list[Shot] = []
    for what in order:
        first = shots[-1].last + 1 if shots else 0
        shots.append(_draw_shot(what, first, colours, shapes, rng))
    return Film(tuple(shots), colours, shapes, named)


def _draw_shot(kind: str, first: int, colours: tuple[str, str], shapes: tuple[str, str], rng: random.Random) -> Shot:
    """A shot in which something of a kind happens, or nothing for an empty ``kind``."""
    lead, during, tail = rng.randint(2, 3), rng.randint(2, 4), rng.randint(2, 3)
    length = lead + during + tail if kind else rng.randint(4, 6)
    lanes = rng.sample(LANES, len(LANES))
    whats = [(rng.choice(colours), rng.choice(shapes), rng.choice(SIZES)) for _ in range(rng.randint(2, 3))]
    radii = [RADIUS[size] for _, _, size in whats]
    paths, place = [], (0.0, 0.0)
    if kind == "collision":
        one, other, place = collide(length, lead, lanes.pop(), (radii[0], radii[1]), rng)
        paths = [one, other]
    paths += [cross(length, lanes.pop(), radius, rng) for radius in radii[len(paths) :]]
    if rng.random() < 0.5:
        paths, place = [turned(path) for path in paths], (place[1], place[0])
    actors = tuple(Actor(*what, path) for what, path in zip(whats, paths, strict=True))
    event = None
    if kind:
        becomes = next(c for c in colours if c != actors[0].colour) if kind == "colour change" else ""
        event = Event(kind, first + lead, first + lead + during - 1, 0, place, becomes)
    return Shot(first, first + length - 1, actors, event)
