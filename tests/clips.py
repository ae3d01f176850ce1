"""Tiny video files, written by PyAV."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

TICK = Fraction(1, 1000)


def grey(levels: Sequence[int], *, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Flat frames (H, W, 3) of these levels."""
    return [np.full((height, width, 3), level, dtype=np.uint8) for level in levels]


def write_clip(
    path: Path,
    images: Sequence[np.ndarray],
    *,
    times: Sequence[int] | None = None,
    codec: str = "libx264",
    rotation: float = 0,
    sound: bool = False,
    options: dict[str, str] | None = None,
    codec_options: dict[str, str] | None = None,
) -> Path:
    """Images (H, W, 3) as a video, shown at these milliseconds, or ten a second."""
    times = [100 * k for k in range(len(images))] if times is None else times
    with av.open(str(path), "w", options=options or {}) as file:
        video = file.add_stream(codec, rate=10)
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = {"ffv1": "bgr0", "mjpeg": "yuvj420p"}.get(codec, "yuv420p")
        even = codec == "libx264" and path.suffix in (".avi", ".h264")  # no times but those of the rate
        if not even:
            video.time_base = video.codec_context.time_base = TICK
        if rotation:
            video.set_display_rotation(rotation)
        if codec == "libx264":
            video.options = {"crf": "5", "bf": "2", "g": "20"} | (codec_options or {})
        audio = file.add_stream("aac", rate=8000, layout="mono") if sound else None
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = time, TICK
            if even:
                frame.pts, frame.time_base = time // 100, Fraction(1, 10)
            file.mux(video.encode(frame))
        file.mux(video.encode())
        if audio is not None:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), "fltp", "mono")
            silence.rate, silence.pts = 8000, 0
            file.mux([*audio.encode(silence), *audio.encode(None)])
    return path
