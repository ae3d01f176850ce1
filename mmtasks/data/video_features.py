"""From a video file to the steps that a model sees: sampled frames, cleaned, as pixels or encoded as images."""

import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.images import ImageProcessor
from mmtasks.data.video import Frame, Frames, frames
from mmtasks.data.video_clean import FrameCleaner, Step
from mmtasks.data.video_sound import SoundProcessor
from mmtasks.encoders.base import Encoder, build_once
from mmtasks.errors import UserError
from mmtasks.layers import pool_places
from mmtasks.memory import give_back
from mmtasks.types import Modality

TIDIED = 2
"""Batches after which memory is given back."""


class Steps(NamedTuple):
    """What a model sees of a video of ``n_frames`` frames, ``fps`` a second on average.

    data: (T, D) float32 features, (T, N, D) where the grid is kept, or (T, 3, H, W) pixels in [0, 1]; picks: (T,)
    int64, the frame that each step shows, ascending; seconds: (T,) float64, when it is shown, from the first frame on;
    sound: (T, D) float32, what is heard around it, None where the video is silent or nobody listens.
    """

    data: Tensor
    picks: np.ndarray
    n_frames: int
    fps: float
    seconds: np.ndarray
    sound: Tensor | None = None


class VideoProcessor(Configured):
    """Path to steps. With an encoder it holds a batch or two of frames at a time, without one all pixels.

    The default sampling and size are the ones of ``tvsum`` (EfficientNet-Lite0 on squeezed frames, averaged) at another
    rate, which there is 1.5.

    Args:
        rate: steps a second, by the frames' own times.
        size: (height, width) to which frames are squeezed while they are decoded; None for their own.
        image: prepares each frame after that; None for nothing more.
        clean: steps that leave out frames: ``black``, ``frozen``, ``duplicate``; see ``FrameCleaner``.
        encoder: of images, evaluated without gradients; None for pixels. One that has no weights yet is built when
            first needed; those it draws at random are the same every time.
        pool: average an image's tokens; else keep them.
        grid: places a side within each of which they are averaged, if more than one.
        batch_size: frames decoded ahead, and encoded at once.
        sound: what to make of the video's sound; None for nothing.
    """

    def __init__(
        self,
        rate: float = 2.0,
        *,
        size: Sequence[int] | None = (224, 224),
        image: ImageProcessor | None = None,
        clean: Sequence[Step] = (),
        encoder: Encoder | None = None,
        pool: bool = True,
        grid: int = 1,
        batch_size: int = 32,
        sound: SoundProcessor | None = None,
    ) -> None:
        if not 0 < rate < float("inf"):
            raise ValueError(f"rate {rate} must be a number of steps a second above 0")
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"size {size!r} must be a height and a width of at least 1, or None")
        if size is None and image is None:
            raise ValueError("size None needs an image processor, which brings all frames to one size")
        if grid < 1:
            raise ValueError(f"grid {grid} must be at least 1 place a side")
        if grid > 1 and (encoder is None or not pool):
            raise ValueError(f"grid {grid} needs an encoder whose tokens it pools")
        if batch_size < 1:
            raise ValueError(f"batch_size {batch_size} must be at least 1")
        self.rate = rate
        self.size = None if size is None else list(size)
        self.image = image
        self.clean = list(clean)
        self.encoder = encoder
        self.pool = pool
        self.grid = grid
        self.batch_size = batch_size
        self.sound = sound
        self._cleaner = FrameCleaner(self.clean)

    def build(self) -> None:
        """Make the encoders' weights now, where they have none, instead of at the first video."""
        if self.encoder is not None:
            build_once(self.encoder, {})
        if self.sound is not None:
            self.sound.build()

    def __call__(
        self, path: str | Path, *, device: str | torch.device = "cpu", progress: Callable[[float], None] | None = None
    ) -> Steps:
        """The steps of a file. ``progress`` is told, now and then, how many seconds of the video are done.

        Where every sampled frame is black, a line on standard error says so.

        Raises:
            UserError: not a video, nothing decodes, or cleaning leaves nothing; it names the file.
        """
        data, picks, seconds, dark = [], [], [], _Darkness()
        size = None if self.size is None else (self.size[0], self.size[1])
        with (
            frames(path, rate=self.rate, size=size, threads=torch.get_num_threads()) as found,
            closing(_ahead(self._batches(found, dark))) as batches,
            _a_core_for_decoding(),
        ):
            sampled = 0
            for number, batch in enumerate(batches):
                sampled += len(batch)
                kept = [frame for frame in batch if frame.pixels is not None]
                pixels = [frame.pixels for frame in batch if frame.pixels is not None]
                if pixels:
                    data.append(self._encode(torch.stack(pixels).to(device)))
                picks += [frame.pick for frame in kept]
                seconds += [frame.seconds for frame in kept]
                if progress is not None:
                    progress(batch[-1].seconds)
                if number % TIDIED == TIDIED - 1:
                    give_back()
            if not picks:
                raise UserError(f"{path}: {' and '.join(map(str, self.clean))} leave none of {sampled} sampled frames")
            if progress is not None:
                progress(found.seconds)
            if dark.complete:
                told = f"all of {sampled} sampled frames are black; what is made of them says nothing of it"
                print(f"mmtasks: warning: {path}: {told}", file=sys.stderr)
            features = torch.cat(data)
            if not features.isfinite().all():
                raise UserError(f"{path}: the encoder makes values of it that are not numbers; train the encoder again")
            steps = Steps(features, np.array(picks), found.count, found.fps, np.array(seconds))
        return steps if self.sound is None else steps._replace(sound=self.sound(path, steps.seconds, device=device))

    def _batches(self, found: Frames, dark: "_Darkness") -> Iterator[list["_Prepared"]]:
        keep, seen = self._cleaner.start(), map(dark.look, found)
        prepared = (_Prepared(f.index, f.seconds, self._pixels(f) if keep(f.image) else None) for f in seen)
        while batch := list(islice(prepared, self.batch_size)):
            yield batch

    def _pixels(self, frame: Frame) -> Tensor:
        """(3, H, W), uint8 or already in [0, 1]."""
        if self.image is not None:
            return self.image(Image.fromarray(frame.image))[0]
        return torch.from_numpy(frame.image).permute(2, 0, 1)

    @torch.no_grad()
    def _encode(self, pixels: Tensor) -> Tensor:
        """(N, 3, H, W) -> features or pixels of each, on the CPU."""
        pixels = pixels if pixels.is_floating_point() else pixels.float() / 255
        if self.encoder is None:
            return pixels.cpu()
        self.build()
        encoder = self.encoder.to(pixels.device).eval()
        mask = torch.ones(len(pixels), 1, dtype=torch.bool, device=pixels.device)
        tokens = encoder(Modality(pixels[:, None], mask)).x
        if self.pool:
            tokens = pool_places(tokens, self.grid, (pixels.shape[2], pixels.shape[3]))
        return (tokens.squeeze(1) if self.pool and self.grid == 1 else tokens).float().cpu()


class _Prepared(NamedTuple):
    """A sampled frame; pixels: None where cleaning left it out."""

    pick: int
    seconds: float
    pixels: Tensor | None


class _Darkness:
    """complete: whether all frames looked at are black, as far as the first that is not."""

    def __init__(self) -> None:
        self.complete = True
        self._shows = FrameCleaner(["black"]).start()

    def look(self, frame: Frame) -> Frame:
        """Gives the frame back."""
        self.complete = self.complete and not self._shows(frame.image)
        return frame


def _ahead(batches: Iterator[list[_Prepared]]) -> Generator[list[_Prepared]]:
    """The next batch is decoded in a thread while this one is encoded."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch


@contextmanager
def _a_core_for_decoding() -> Iterator[None]:
    """Encoding leaves one of the cores alone: its threads wait for each other, and one that cannot run holds up all."""
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, threads - 1))
    try:
        yield
    finally:
        torch.set_num_threads(threads)
