"""From a video file to the steps that a model reads: sampled frames, or the features of an image encoder."""

import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmtasks.data.video import Frame, VideoFrames
from mmtasks.data.video_clean import check_cleaning, keep
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.types import Modality


class Steps(NamedTuple):
    """What a model reads of a video. data: (T, D) features or (T, 3, H, W) pixels in [0, 1].

    picks: (T,) the frame that each step shows; seconds: (T,) when; n_frames, fps: of the whole video, as decoded.
    """

    data: Tensor
    picks: np.ndarray
    seconds: np.ndarray
    n_frames: int
    fps: float


class VideoProcessor:
    """Frames at a rate, squeezed to a size, cleaned, and encoded if there is an encoder.

    Args:
        rate: steps a second; above 0.
        size: (height, width) of a frame in pixels.
        clean: steps of ``mmtasks.data.video_clean``, in order; None for none.
        encoder: of pictures; the mean of its tokens is a step's feature. None for pixels.
        batch_size: frames encoded at once.
    """

    def __init__(
        self,
        rate: float = 2.0,
        *,
        size: Sequence[int] = (224, 224),
        clean: Sequence[str] | None = None,
        encoder: Encoder | None = None,
        batch_size: int = 32,
    ) -> None:
        if not (rate > 0 and math.isfinite(rate)):
            raise ValueError(f"rate {rate} must be above 0 steps a second")
        if len(size) != 2 or min(size) < 1:
            raise ValueError(f"size {list(size)} must be height and width in pixels")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size} must be at least 1")
        self.rate = rate
        self.size = list(size)
        self.clean = check_cleaning(clean or [])
        self.encoder = encoder
        self.batch_size = batch_size
        self._built = False

    def __call__(self, path: str | Path, *, device: str | torch.device = "cpu") -> Steps:
        """Read a file; holds ``batch_size`` frames at once where there is an encoder.

        Raises:
            UserError: not a video, or nothing is left of it after cleaning.
        """
        frames = VideoFrames(path, rate=self.rate, size=(self.size[0], self.size[1]))
        kept = keep(frames, self.clean)
        parts: list[Tensor] = []
        times: list[tuple[int, float]] = []
        while chunk := list(islice(kept, self.batch_size)):
            times += [(frame.index, frame.seconds) for frame in chunk]
            parts.append(self.encode(chunk, device=device))
        assert frames.seen is not None
        if not times:
            raise UserError(f"{path}: no frame is left after cleaning ({', '.join(self.clean)}); leave a step out")
        picks, seconds = (np.array(values) for values in zip(*times, strict=True))
        fps = frames.seen.n_frames / frames.seen.seconds
        return Steps(torch.cat(parts), picks.astype(np.int64), seconds, frames.seen.n_frames, fps)

    @torch.inference_mode()
    def encode(self, frames: Sequence[Frame], *, device: str | torch.device = "cpu") -> Tensor:
        """Frames -> (T, D) features, or (T, 3, H, W) pixels without an encoder."""
        pixels = torch.from_numpy(np.stack([frame.image for frame in frames])).permute(0, 3, 1, 2)
        images = pixels.to(device).float() / 255
        if self.encoder is None:
            return images.cpu()
        if not self._built:
            self.encoder.build({})
            self.encoder.eval()
            self._built = True
        mask = torch.ones(len(images), 1, dtype=torch.bool, device=device)
        return self.encoder.to(device)(Modality(images[:, None], mask)).x.mean(dim=1).cpu()
