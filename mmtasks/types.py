"""The few values that travel between data, encoders, fusion and objectives.

Legend for shapes, here and everywhere: B batch, T time or raw positions, N tokens, D width, L text length.
``True`` in a mask means *real*, everywhere.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

Facts = dict[str, Any]
"""What the data knows and the model must be told before its weights exist, by modality.

``{"text": {"vocab_size": 1000, "pad_id": 0, "max_length": 32}, "image": {}}``; plain values only, for the checkpoint.
"""


class Modality(NamedTuple):
    """Raw input of one modality, padded.

    data: (B, T, …). Images and video: (B, T, 3, H, W) in [0, 1], T = 1 for an image. Text: (B, L) token ids.
    mask: (B, T) bool, True where real.
    """

    data: Tensor
    mask: Tensor


class Tokens(NamedTuple):
    """An encoded sequence. x: (B, N, D); mask: (B, N) bool, True where real."""

    x: Tensor
    mask: Tensor


class Fused(NamedTuple):
    """All modalities' tokens after fusion.

    x: (B, N, D), N the sum over modalities; mask: (B, N) bool; spans: the slice of N of each modality;
    attention: (B, N, N), row = the token that looks, column = the token looked at; None unless asked for.
    """

    x: Tensor
    mask: Tensor
    spans: dict[str, slice]
    attention: Tensor | None = None


class Word(NamedTuple):
    """One word of a transcript; start, end: seconds into the recording."""

    text: str
    start: float
    end: float


class Heard(NamedTuple):
    """What was heard in a recording.

    score: mean log probability of a step of decoding, None where nothing was decoded; words: in order, with times.
    """

    text: str
    score: float | None
    words: list[Word]


class Annotation(NamedTuple):
    """What people said of a video of F frames, of which the model sees T.

    picks: (T,) the frame that each step shows; change_points: (S, 2) first and last frame of each shot, in order,
    covering all frames; user_scores: (U, F) importance by U people, None where they only chose; user_summary: (U, F)
    bool, None where they only scored.
    """

    picks: np.ndarray
    n_frames: int
    fps: float
    change_points: np.ndarray
    user_scores: np.ndarray | None = None
    user_summary: np.ndarray | None = None

    @property
    def has_people(self) -> bool:
        """Whether anybody judged it: U is above 0."""
        return any(said is not None and len(said) > 0 for said in (self.user_scores, self.user_summary))


class Batch(NamedTuple):
    """One step's samples. Inputs already encoded by a frozen encoder arrive as Tokens and skip that encoder.

    target: tensors, or lists of plain values, by name.
    """

    inputs: dict[str, Modality | Tokens]
    target: dict[str, Any]
    ids: list[str]


Fuse = Callable[[dict[str, Tokens]], Fused]
