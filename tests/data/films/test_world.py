"""What happens in films: kinds, times and places, by split and seed."""

import random
from collections import Counter
from dataclasses import replace
from itertools import combinations

import pytest

from mmtasks.data.films.motion import CONTACT
from mmtasks.data.films.world import KINDS, OPPOSITE, Film, Shot, draw_film
from mmtasks.data.scenes.render import RADIUS
from mmtasks.data.scenes.splits import SPLITS, combinations_of


def films(number: int = 40, split: str = "train") -> list[Film]:
    return [draw_film(split, random.Random(seed)) for seed in range(number)]


def gaps(shot: Shot) -> list[list[float]]:
    """Distance between every two actors' boxes in every frame of a shot, as a share of their radii's sum; 1 touches."""
    found = []
    for one, other in combinations(shot.actors, 2):
        reach = RADIUS[one.size] + RADIUS[other.size]
        places = zip(one.path, other.path, strict=True)
        found.append([max(abs(a - c), abs(b - d)) / reach for (a, b), (c, d) in places])
    return found


def test_the_same_seed_makes_the_same_film() -> None:
    one, again, other = (draw_film("val", random.Random(seed)) for seed in (1, 1, 2))
    assert one == again != other


def test_every_film_has_several_events_of_each_kind_with_quiet_frames_between() -> None:
    for film in films():
        kinds = Counter(event.kind for event in film.events)
        assert set(kinds) == set(KINDS)
        assert min(kinds.values()) >= 2 and min(kinds[kind] for kind in film.named) >= 3
        assert film.named[1] == OPPOSITE[film.named[0]]
        assert film.events[0].first >= 2 and film.events[-1].last <= film.n_frames - 3
        for before, after in zip(film.events, film.events[1:], strict=False):
            assert after.first - before.last > 4
        assert all(2 <= event.last - event.first + 1 <= 4 for event in film.events)
        assert any(shot.event is None for shot in film.shots)
        assert 60 <= film.n_frames <= 125


def test_all_kinds_are_named_and_lengths_vary() -> None:
    assert {film.named[0] for film in films()} == set(KINDS)
    assert len({film.n_frames for film in films()}) > 10


def test_shots_follow_each_other_and_hold_their_events_and_paths() -> None:
    for film in films():
        assert film.shots[0].first == 0
        for before, after in zip(film.shots, film.shots[1:], strict=False):
            assert after.first == before.last + 1
        for shot in film.shots:
            assert all(len(actor.path) == shot.last - shot.first + 1 for actor in shot.actors)
            assert shot.event is None or shot.first < shot.event.first <= shot.event.last < shot.last


@pytest.mark.parametrize("split", SPLITS)
def test_films_use_only_the_combinations_of_their_split(split: str) -> None:
    for film in films(split=split):
        assert (film.colours, film.shapes) in combinations_of(split)
        seen = {actor.colour for shot in film.shots for actor in shot.actors}
        turned = {event.becomes for event in film.events if event.becomes}
        assert seen | turned <= set(film.colours)
        assert {actor.shape for shot in film.shots for actor in shot.actors} <= set(film.shapes)


def test_shapes_touch_exactly_where_they_collide_and_stay_in_the_picture() -> None:
    for film in films():
        for shot in film.shots:
            assert all(
                RADIUS[actor.size] - 0.001 <= place <= 1.001 - RADIUS[actor.size]
                for actor in shot.actors
                for place in sum(actor.path, ())
            )
            close = [min(gap) for gap in gaps(shot)]
            if shot.event and shot.event.kind == "collision":
                assert close[0] == pytest.approx(CONTACT)
                assert gaps(shot)[0].index(close[0]) == shot.event.first - shot.first
                close = close[1:]
            assert all(gap > 1 for gap in close)


def test_a_colour_change_changes_the_colour() -> None:
    changes = [shot for film in films() for shot in film.shots if shot.event and shot.event.kind == "colour change"]
    assert len(changes) > 80
    assert all(shot.event and shot.actors[0].colour != shot.event.becomes for shot in changes)


def test_bad_events_and_splits_are_refused() -> None:
    event = films(1)[0].events[0]
    with pytest.raises(ValueError, match="kind must be one of collision, .*got 'fire'"):
        replace(event, kind="fire")
    with pytest.raises(ValueError, match="before it ends, got 3 to 2"):
        replace(event, first=3, last=2)
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        draw_film("dev", random.Random(0))
