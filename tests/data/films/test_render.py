"""Frames of films: cuts and events can be seen, and nothing else changes much."""

import random
from functools import cache

import numpy as np
import pytest
import torch
from torch import Tensor

from mmtasks.data.films.render import CUT, MARKS, render
from mmtasks.data.films.world import KINDS, Film, draw_film
from mmtasks.data.scenes.render import PAINT


@cache
def drawn(seed: int) -> tuple[Film, Tensor]:
    film = draw_film("train", random.Random(seed))
    return film, render(film, size=48, seed=seed)


def near(frame: Tensor, colour: tuple[int, int, int]) -> int:
    """How many pixels of a frame are within 20 levels of a colour."""
    wanted = torch.tensor(colour).view(3, 1, 1) / 255
    return int(((frame - wanted).abs().amax(dim=0) < 20 / 255).sum())


def test_frames_are_pixels_and_repeat_with_the_seed() -> None:
    film, frames = drawn(0)
    assert frames.shape == (film.n_frames, 3, 48, 48) and frames.dtype == torch.float32
    assert 0 <= frames.min() < frames.max() <= 1
    assert torch.equal(frames, render(film, size=48, seed=0))
    assert not torch.equal(frames, render(film, size=48, seed=1))


@pytest.mark.parametrize("size", [16, 33])
def test_any_size_can_be_asked_for(size: int) -> None:
    film, _ = drawn(0)
    assert render(film, size=size).shape == (film.n_frames, 3, size, size)


def test_the_ground_changes_at_every_cut_and_only_there() -> None:
    for seed in range(5):
        film, frames = drawn(seed)
        ground = frames.flatten(2).median(dim=2).values * 255  # [T, 3]
        steps = (ground[1:] - ground[:-1]).abs()
        cuts = [shot.first - 1 for shot in film.shots[1:]]
        assert (steps[cuts].mean(dim=1) >= CUT - 10).all()
        steps[cuts] = 0
        assert steps.max() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_shows_its_mark_in_all_of_its_frames_and_no_others(kind: str) -> None:
    events = 0
    for seed in range(12):
        film, frames = drawn(seed)
        if kind == "collision" and set(film.colours) & {"white", "yellow"}:
            continue  # pale edges of those shapes pass for its sparks
        shown = np.array([near(frame, MARKS[kind]) for frame in frames])
        during = np.zeros(film.n_frames, bool)
        for event in film.events:
            if event.kind == kind:
                events += 1
                during[event.first : event.last + 1] = True
        assert (shown[during] > 0).all()
        assert (shown[~during] == 0).all()
    assert events >= 10


def test_what_appears_was_not_there_and_what_leaves_is_gone() -> None:
    for seed in range(12):
        film, frames = drawn(seed)
        for shot in film.shots:
            if shot.event is None or shot.event.kind == "collision":
                continue
            actor = shot.actors[0]
            ends = []
            for frame in (shot.first, shot.last):
                x, y = (min(int(48 * place), 47) for place in actor.path[frame - shot.first])
                ends.append((frames[frame][:, y, x] * 255).tolist())
            old, new = PAINT[actor.colour], PAINT.get(shot.event.becomes)
            there = [max(abs(a - b) for a, b in zip(end, old, strict=True)) < 40 for end in ends]
            assert there == [shot.event.kind != "appearance", False if new else shot.event.kind != "departure"]
            if new:
                assert max(abs(a - b) for a, b in zip(ends[1], new, strict=True)) < 40


def test_a_tiny_size_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 16, got 8"):
        render(drawn(0)[0], size=8)
