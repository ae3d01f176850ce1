"""Tiny videos in which a white frame and a beep come together, and where those are in any file."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from tests.clips import grey

FPS, RATE = 25, 16_000
SEGMENTS = [(0.2, 0.8), (1.6, 2.4), (2.4, 2.68), (3.52, 4.2)]
FLASHES = [0.28, 0.6, 1.2, 1.6, 2.04, 2.4, 2.56, 3.0, 3.52, 4.16]


def moved(times: Sequence[float]) -> list[float]:
    """Those times that lie in a segment, as they come in the summary."""
    found, before = [], 0.0
    for start, end in SEGMENTS:
        found += [before + time - start for time in times if start <= time + 1e-6 < end]
        before += end - start
    return found


def write_flashes(
    path: Path,
    *,
    sound: str = "aac",
    rate: int = RATE,
    layout: str = "mono",
    late: float = 0.0,
    seconds: float = 5.0,
    sound_from: float = 0.0,
) -> Path:
    """Dark frames, a white one at each flash, where a beep of 30 ms begins; it all starts so many seconds late."""
    levels = np.full(round(seconds * FPS), 30)
    levels[[round(flash * FPS) for flash in FLASHES]] = 230
    channels, length = av.AudioLayout(layout).nb_channels, round(0.03 * rate)
    samples = np.zeros((channels, round(seconds * rate)), np.float32)
    for flash in FLASHES:
        at = round(flash * rate)
        samples[:, at : at + length] = 0.8 * np.sin(np.arange(length) * 2 * np.pi * 2000 / rate + 1)
    with av.open(str(path), "w") as file:
        video = file.add_stream("libx264", rate=FPS, options={"g": "30", "bf": "2", "crf": "10"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = file.add_stream(sound, rate=rate, layout=layout)
        for k, image in enumerate(grey(levels)):
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = k + round(late * FPS), Fraction(1, FPS)
            file.mux(video.encode(frame))
            part = samples[:, k * rate // FPS : (k + 1) * rate // FPS]
            if k / FPS >= sound_from:
                block = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "fltp", layout)
                block.rate, block.time_base = rate, Fraction(1, rate)
                block.pts = k * rate // FPS + round(late * rate)
                file.mux(audio.encode(block))
        file.mux([*video.encode(), *audio.encode()])
    return path


def seen(path: Path) -> tuple[list[float], list[int]]:
    """When each frame is, by the file's clock, and its level."""
    with av.open(str(path)) as file:
        found = [(frame.time, int(frame.to_ndarray(format="gray").mean())) for frame in file.decode(video=0)]
    times, levels = zip(*found, strict=True)
    return list(times), list(levels)


def heard(path: Path) -> tuple[np.ndarray, float, int]:
    """Samples of the first channel, when the first one is, and the rate."""
    with av.open(str(path)) as file:
        frames = [(frame.time, frame.to_ndarray()[0], frame.sample_rate) for frame in file.decode(audio=0)]
    return np.concatenate([samples for _, samples, _ in frames]), frames[0][0], frames[0][2]


def flashes(path: Path) -> list[float]:
    return [time for time, level in zip(*seen(path), strict=True) if level > 128]


def beeps(path: Path) -> list[float]:
    """When something loud begins after at least 40 ms of quiet."""
    samples, start, rate = heard(path)
    loud = np.flatnonzero(np.abs(samples) > 0.2)
    first = np.diff(loud, prepend=-rate) > 0.04 * rate
    return list(start + loud[first] / rate)


def lengths(path: Path) -> dict[str, float]:
    with av.open(str(path)) as file:
        found = {stream.type: float(stream.duration * stream.time_base) for stream in file.streams}
        return found | {"file": file.duration / 1e6}
