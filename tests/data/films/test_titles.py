"""Titles: several a kind, none for two kinds, some in test only, whose words training knows."""

import random
from itertools import combinations

import pytest

from mmtasks.data.films.titles import draw_title, titles_of
from mmtasks.data.films.world import KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_many_titles_and_some_in_test_only(kind: str) -> None:
    train, test = set(titles_of(kind, "train")), set(titles_of(kind, "test"))
    assert train == set(titles_of(kind, "val"))
    assert train < test
    assert len(train) == len(titles_of(kind, "train")) >= 30
    assert len(test - train) >= 10


def test_no_title_asks_for_two_kinds() -> None:
    for one, other in combinations(KINDS, 2):
        assert not set(titles_of(one, "test")) & set(titles_of(other, "test"))


def test_training_knows_every_word_of_test_and_the_kind_it_may_mean() -> None:
    for kind in KINDS:
        known = {word for title in titles_of(kind, "train") for word in title.split()}
        assert {word for title in titles_of(kind, "test") for word in title.split()} == known


def test_titles_are_lower_case_words() -> None:
    assert all(word.isalpha() and word.islower() for k in KINDS for t in titles_of(k, "test") for word in t.split())


def test_draws_repeat_with_the_seed_and_cover_all() -> None:
    assert draw_title("collision", "train", random.Random(3)) == draw_title("collision", "train", random.Random(3))
    rng = random.Random(0)
    assert {draw_title("departure", "val", rng) for _ in range(1000)} == set(titles_of("departure", "val"))


def test_unknown_kinds_and_splits_are_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of collision, .*got 'fire'"):
        titles_of("fire", "train")
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        titles_of("collision", "dev")
