"""How films are rated: by the title, and by nothing else."""

import random
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from mmtasks.data.films.viewers import QUIET, draw_viewers, ratings, truth
from mmtasks.data.films.world import Film, draw_film

PANEL = draw_viewers(5, random.Random(0))
FILMS = [draw_film("test", random.Random(seed)) for seed in range(12)]


def tau(scores: np.ndarray, rated: np.ndarray) -> float:
    """Kendall's τ-b of scores (T,) against every viewer (U, T), averaged; 0 for scores that are all equal."""
    stats = pytest.importorskip("scipy.stats")
    if np.ptp(scores) == 0:
        return 0.0
    return float(np.mean([stats.kendalltau(scores, viewer).statistic for viewer in rated]))


def blind(film: Film, seed: int) -> Iterator[np.ndarray]:
    """Scores that do not know the title: some that know all else of the film, even what viewers say on average."""
    rng = np.random.default_rng(seed)
    first, second = truth(film, 0), truth(film, 1)
    rated = [ratings(film, title, PANEL, seed).mean(axis=0) for title in (0, 1)]
    events, named = np.zeros((2, film.n_frames))
    for event in film.events:
        events[event.first : event.last + 1] = 1
        named[event.first : event.last + 1] = event.kind in film.named
    yield from (events, named, first, second, (first + second) / 2, np.maximum(first, second), *rated, sum(rated))
    yield from (rng.random(film.n_frames), np.arange(film.n_frames), np.abs(rated[0] - 0.5) + 1e-3 * first)


def test_the_truth_agrees_with_viewers_and_viewers_with_each_other() -> None:
    right = [tau(truth(film, t), ratings(film, t, PANEL, 0)) for film in FILMS for t in (0, 1)]
    assert np.mean(right) >= 0.8
    assert min(right) >= 0.75
    people = ratings(FILMS[0], 0, PANEL, 0)
    assert 0.7 < tau(people[0], people[1:]) < 0.98
    assert len({person.tobytes() for person in people}) == 5


def test_even_a_truth_with_small_errors_everywhere_agrees_with_viewers() -> None:
    rng = np.random.default_rng(0)
    noisy = [
        tau(truth(film, t) + 0.01 * rng.standard_normal(film.n_frames), ratings(film, t, PANEL, 0))
        for film in FILMS
        for t in (0, 1)
    ]
    assert np.mean(noisy) >= 0.75


def test_without_the_title_nothing_exceeds_a_tau_of_zero() -> None:
    for seed, film in enumerate(FILMS):
        rated = [ratings(film, title, PANEL, seed) for title in (0, 1)]
        for scores in blind(film, seed):
            taus = [tau(scores, people) for people in rated]
            assert taus[0] == pytest.approx(-taus[1], abs=1e-9)
            means = [tau(scores, people.mean(axis=0)[None]) for people in rated]
            assert means[0] == pytest.approx(-means[1], abs=1e-9)


def test_the_other_title_turns_the_truth_around() -> None:
    for film in FILMS[:4]:
        assert tau(truth(film, 0), truth(film, 1)[None]) < -0.99
        assert tau(truth(film, 1), ratings(film, 0, PANEL, 0)) < -0.75


def test_named_events_are_best_opposite_ones_worst_and_the_rest_quiet() -> None:
    for film in FILMS:
        for title in (0, 1):
            value = truth(film, title)
            assert value.dtype == np.float32 and value.shape == (film.n_frames,)
            assert (value.min(), value.max()) == (0, 1)
            for event in film.events:
                worth = {film.named[title]: 1.0, film.named[1 - title]: 0.0}.get(event.kind)
                if worth is not None:
                    np.testing.assert_allclose(value[event.first : event.last + 1], worth, atol=0.02)
            assert np.mean(np.abs(value - QUIET) < 0.01) > 0.2


@pytest.mark.parametrize("title", [0, 1])
def test_ratings_are_numbers_in_steps_and_repeat_with_the_seed(title: int) -> None:
    people = ratings(FILMS[0], title, PANEL, 7)
    assert people.shape == (5, FILMS[0].n_frames) and people.dtype == np.float32
    assert set(np.unique(people * 8)) <= set(range(9))
    assert np.array_equal(people, ratings(FILMS[0], title, PANEL, 7))
    assert not np.array_equal(people, ratings(FILMS[0], title, PANEL, 8))
    np.testing.assert_array_equal(people, 1 - ratings(FILMS[0], 1 - title, PANEL, 7))


@pytest.mark.parametrize("rate", [truth, lambda film, title: ratings(film, title, PANEL, 0)])
def test_a_third_title_and_no_viewers_are_refused(rate: Callable[[Film, int], np.ndarray]) -> None:
    with pytest.raises(ValueError, match="title must be one of 0, 1, got 2"):
        rate(FILMS[0], 2)
    with pytest.raises(ValueError, match="viewers must be at least 1, got 0"):
        draw_viewers(0, random.Random(0))
