"""Films as rows: two a film, the same on every run, with titles right, swapped or withheld."""

import pickle

import numpy as np
import pytest
import torch

from mmtasks.data.films.source import Films
from mmtasks.data.films.titles import titles_of
from mmtasks.data.scenes.splits import SPLITS


def test_rows_come_in_pairs_of_one_film() -> None:
    films = Films("test", number=3, size=16)
    assert [row.id for row in films] == [f"test-0-{i}-{side}" for i in range(3) for side in "ab"]
    assert len(films) == 6 and films[-1].where == "films-test:6"
    for i in range(3):
        a, b = films[2 * i : 2 * i + 2]
        assert torch.equal(a.load(), b.load())
        assert not np.array_equal(a.target, b.target)
        for row, kind in zip((a, b), films.film(i).named, strict=True):
            assert row.title in titles_of(kind, "test")


def test_annotations_fit_the_pixels() -> None:
    films = Films(number=2, size=16, viewers=3)
    for i, row in enumerate(films):
        said, steps = row.annotation, len(row.load())
        assert said.n_frames == steps == len(row.target) and said.fps == 2
        assert said.picks.tolist() == list(range(steps)) and said.picks.dtype == np.int64
        assert said.user_scores.shape == (3, steps) and said.user_summary is None
        assert said.change_points.tolist() == [[shot.first, shot.last] for shot in films.film(i // 2).shots]
        assert said.change_points.dtype == np.int64


def test_rows_repeat_with_the_seed_and_differ_between_splits_and_seeds() -> None:
    first, again = Films(number=2, size=16)[2], Films(number=2, size=16)[2]
    assert first.title == again.title and torch.equal(first.load(), again.load())
    assert np.array_equal(first.annotation.user_scores, again.annotation.user_scores)
    stories = [Films(split, number=1, seed=seed).film(0) for split in SPLITS for seed in (0, 1)]
    assert len(set(stories)) == 6


def test_more_films_leave_the_first_ones_as_they_were() -> None:
    assert Films(number=1).film(0) == Films(number=9).film(0)


def test_titles_can_be_swapped_and_withheld_and_nothing_else_changes() -> None:
    right, swapped, none = (Films("val", number=3, size=16, titles=titles) for titles in ("right", "swapped", "none"))
    assert [row.title for row in swapped] == [right[i ^ 1].title for i in range(6)]
    assert [row.title for row in none] == [""] * 6
    for other in (swapped, none):
        for row, same in zip(other, right, strict=True):
            assert row.id == same.id and np.array_equal(row.target, same.target)
            assert np.array_equal(row.annotation.user_scores, same.annotation.user_scores)
    assert torch.equal(swapped[3].load(), right[3].load())


def test_kept_films_are_rendered_once_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, kept = Films(number=2, size=16), Films(number=2, size=16, keep=True)
    for row, same in zip(drawn, kept, strict=True):
        assert torch.equal(row.load(), same.load())
    monkeypatch.setattr("mmtasks.data.films.source.render", None)
    again = kept[1].load()
    again.zero_()  # what a caller does with its own is not kept
    assert torch.equal(kept[0].load(), kept[1].load()) and kept[1].load().any()
    assert len(pickle.dumps(kept)) < 10_000
    with pytest.raises(TypeError):
        drawn[0].load()


def test_rows_and_sources_survive_pickling() -> None:
    films = Films(number=2, size=16)
    row = pickle.loads(pickle.dumps(films[1]))
    assert row.id == films[1].id and torch.equal(row.load(), films[1].load())
    assert pickle.loads(pickle.dumps(films))[1].title == films[1].title


def test_bad_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="split must be one of train, val, test, got 'dev'"):
        Films("dev")
    with pytest.raises(ValueError, match="titles must be one of right, swapped, none, got 'wrong'"):
        Films(titles="wrong")
    with pytest.raises(ValueError, match="number must be at least 1, got 0"):
        Films(number=0)
    with pytest.raises(ValueError, match="size must be at least 16, got 15"):
        Films(size=15)
    with pytest.raises(ValueError, match="viewers must be at least 1, got 0"):
        Films(viewers=0)
    with pytest.raises(IndexError):
        Films(number=2)[4]
