"""Small annotated videos."""

import numpy as np

from mmtasks.types import Annotation


def small_video(
    seed: int = 0, *, steps: int = 12, people: int = 4, scored: bool = True, chosen: bool = True
) -> Annotation:
    """A video of three frames a step, two more at the end, shots of 4 to 9 frames, and people who differ, with ties."""
    generator = np.random.default_rng(seed)
    frames = 3 * steps + 2
    ends = np.cumsum(generator.integers(4, 8, frames // 7))
    edges = [0, *ends[ends < frames - 4], frames]
    return Annotation(
        np.arange(0, 3 * steps, 3),
        frames,
        10.0,
        np.stack([edges[:-1], np.array(edges[1:]) - 1], axis=1),
        generator.integers(1, 6, (people, frames)) if scored else None,
        generator.random((people, frames)) < 0.3 if chosen else None,
    )


def flat_video(scores: list[list[float]] | None = None, chosen: list[list[int]] | None = None) -> Annotation:
    """A video whose frames are all sampled, in shots of two frames."""
    frames = len((scores or chosen or [[]])[0])
    edges = np.arange(0, frames, 2)
    return Annotation(
        np.arange(frames),
        frames,
        1.0,
        np.stack([edges, np.minimum(edges + 1, frames - 1)], axis=1),
        None if scores is None else np.array(scores),
        None if chosen is None else np.array(chosen, dtype=bool),
    )
