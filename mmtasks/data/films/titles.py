"""What a film's title says: which kind of event matters, in lower-case words without punctuation.

A title is a frame around a name of the kind or around a clause. Every fourth pair of the two is kept for test, whose
words training all knows from other titles.
"""

import random
from functools import cache

from mmtasks.data.films.world import KINDS
from mmtasks.data.scenes.splits import SPLITS, check_choice

NAMES = {
    "collision": ("crashes", "bumps", "collisions", "bumps and crashes", "hits"),
    "colour change": ("colour changes", "changes of colour", "new colours", "repaints", "shapes in a new colour"),
    "appearance": ("arrivals", "newcomers", "new shapes", "entrances", "new shapes in the scene"),
    "departure": ("departures", "exits", "farewells", "goodbyes", "shapes on their way out"),
}
CLAUSES = {
    "collision": ("two shapes collide", "shapes bump into each other", "one shape hits another", "something crashes"),
    "colour change": ("shapes change colour", "a shape is repainted", "one turns another colour", "a new colour comes"),
    "appearance": ("a new shape appears", "somebody joins the scene", "one more shape comes in", "something arrives"),
    "departure": ("a shape disappears", "somebody leaves the scene", "one shape goes away", "something vanishes"),
}
AROUND_NAMES = ("{}", "all the {}", "only {} please", "show me the {}", "a summary of the {}", "{} and nothing else")
AROUND_CLAUSES = ("when {}", "every time {}", "moments when {}", "the parts where {}", "show me when {}", "only if {}")


@cache
def titles_of(kind: str, split: str) -> tuple[str, ...]:
    """Every title of a kind of event that a split may use; test uses all. ValueError for an unknown kind or split."""
    check_choice("kind", kind, KINDS)
    check_choice("split", split, SPLITS)
    return tuple(
        around.format(what)
        for arounds, whats in ((AROUND_NAMES, NAMES[kind]), (AROUND_CLAUSES, CLAUSES[kind]))
        for i, around in enumerate(arounds)
        for j, what in enumerate(whats)
        if split == "test" or (i + j) % 4 != 3
    )


def draw_title(kind: str, split: str, rng: random.Random) -> str:
    """A title of a split that asks for a kind of event."""
    return rng.choice(titles_of(kind, split))
