"""From the scores of sampled frames to those of all frames and of shots."""

import numpy as np

from mmtasks.types import Annotation


def step_scores(scores: np.ndarray, video: Annotation) -> np.ndarray:
    """The scores of a video's sampled frames as (T,) float64.

    Raises:
        ValueError: not one score a pick, none at all, or some that are not finite.
    """
    checked = np.asarray(scores, dtype=np.float64)
    if checked.shape != video.picks.shape or checked.ndim != 1:
        raise ValueError(
            f"scores of shape {checked.shape} must be one a pick, and picks have shape {video.picks.shape}"
        )
    if checked.size == 0:
        raise ValueError("scores of no frame; at least one frame must be picked")
    wrong = np.count_nonzero(~np.isfinite(checked))
    if wrong:
        raise ValueError(f"{wrong} of {checked.size} scores are not finite; all must be")
    return checked


def frame_scores(scores: np.ndarray, video: Annotation) -> np.ndarray:
    """(T,) to (F,): each frame takes the score of the last pick at or before it.

    Frames before the first pick take its score.

    Raises:
        ValueError: picks that are out of order or outside the video.

    >>> frame_scores(np.array([0.5, 1.0]), Annotation(np.array([0, 3]), 5, 1.0, np.array([[0, 4]]))).tolist()
    [0.5, 0.5, 0.5, 1.0, 1.0]
    """
    checked = step_scores(scores, video)
    if video.picks[0] < 0 or video.picks[-1] >= video.n_frames or (np.diff(video.picks) < 0).any():
        raise ValueError(f"picks must rise from 0 or later to at most {video.n_frames - 1}, the last frame")
    return np.repeat(checked, np.diff(video.picks[1:], prepend=0, append=video.n_frames))


def shot_lengths(video: Annotation) -> np.ndarray:
    """(S,) frames of each shot.

    Raises:
        ValueError: shots that overlap, leave frames out, or do not end with the video.
    """
    first, last = np.asarray(video.change_points, dtype=np.int64).reshape(-1, 2).T
    starts = [0, *(last + 1)]
    if starts[:-1] != first.tolist() or starts[-1] != video.n_frames or (last < first).any():
        raise ValueError(f"change_points must cover the frames 0 to {video.n_frames - 1} in order, each frame once")
    return last - first + 1


def shot_scores(scores: np.ndarray, video: Annotation) -> np.ndarray:
    """(T,) to (S,): the mean score of the frames of each shot.

    >>> video = Annotation(np.array([0, 3]), 5, 1.0, np.array([[0, 1], [2, 4]]))
    >>> shot_scores(np.array([0.0, 0.75]), video).tolist()
    [0.0, 0.5]
    """
    lengths = shot_lengths(video)
    return np.add.reduceat(frame_scores(scores, video), video.change_points[:, 0]) / lengths
