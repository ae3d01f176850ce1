"""The pictures of a summary, encoded."""

from fractions import Fraction
from typing import Any

import numpy as np

TICK = Fraction(1, 60_000)
"""The clock of what is written: a multiple of usual frame rates, 29.97 too, and as fine as MPEG-4 knows."""
CODECS = {
    "libx264": {"qp": "18", "preset": "ultrafast", "bf": "0"},
    "mpeg4": {"flags": "+qscale", "global_quality": str(3 * 118)},
}
"""The first that this FFmpeg has, at a quality that looks like the original. Without frames out of order, which players
would have to make up for, pictures start at 0 and stay in step with the sound."""
FORMAT = "yuv420p"
"""The only one that all players show."""


class PictureWriter:
    """Frames, encoded at their own size and times; how the camera was held is told to the player as in the source.

    Args:
        target: the container, open for writing.
        source: the stream that the frames come from.
    """

    def __init__(self, target: Any, source: Any) -> None:
        self.target = target
        self.count = 0
        self.stream = self._stream(source.average_rate or source.guessed_rate or 25)
        self._last = -1
        self._lengths: dict[int, int] = {}
        self._shape = source.sample_aspect_ratio

    def add(self, frame: Any, start: float, end: float) -> None:
        """A frame that is seen from ``start`` to ``end``, in seconds; left out where it would be seen for no time."""
        first, last = round(start / TICK), round(end / TICK)
        if first <= self._last or last <= first:
            return
        # of the first alone: side data that was looked at keeps its frame until cycles are collected, 300 MB at 720p
        turned = None if self.count else frame.side_data.get("DISPLAYMATRIX")
        picture = self._picture(frame)
        if not self.count:
            self._take_over(picture, turned)
        picture.pts, picture.time_base = first, TICK
        picture.pict_type = 0  # whatever it was, the encoder decides
        self._lengths[first] = last - first
        self._mux(self.stream.encode(picture))
        self._last = first
        self.count += 1

    def close(self) -> None:
        """Write what the encoder holds back."""
        self._mux(self.stream.encode())

    def _mux(self, packets: list[Any]) -> None:
        """With the time that each is seen: the encoder forgets it, and the last one has no next to tell."""
        for packet in packets:
            packet.duration = self._lengths.pop(packet.pts)
        self.target.mux(packets)

    def _stream(self, rate: Any) -> Any:
        import av

        codec = next(name for name in CODECS if name in av.codecs_available)
        stream = self.target.add_stream(codec, rate=rate, options=CODECS[codec])
        stream.pix_fmt = FORMAT
        stream.time_base = stream.codec_context.time_base = TICK
        stream.codec_context.thread_type = "FRAME"  # not slices, after each of which all wait for the slowest
        return stream

    def _take_over(self, picture: Any, turned: Any) -> None:
        """Size, colours, shape of pixels and rotation, before anything is encoded."""
        context = self.stream.codec_context
        context.width, context.height = picture.width, picture.height
        for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
            setattr(context, name, getattr(picture, name))
        if self._shape:
            context.sample_aspect_ratio = self._shape
        if turned is not None:
            self.stream.set_display_matrix(np.frombuffer(bytes(turned), dtype=np.int32).tolist())

    def _picture(self, frame: Any) -> Any:
        """In the format to write, of even sides, and of the size of the first where the video changes it."""
        picture = frame
        if frame.format.name != FORMAT:
            space = "ITU601" if frame.format.is_rgb else None  # "RGB" would be told of what no longer is
            picture = frame.reformat(format=FORMAT, dst_color_range="MPEG", dst_colorspace=space)
        if picture.width % 2 or picture.height % 2:
            picture = _even(picture)
        width, height = self.stream.width, self.stream.height
        if self.count and (picture.width, picture.height) != (width, height):
            picture = picture.reformat(width=width, height=height)
        return picture


def _even(picture: Any) -> Any:
    """An odd side gets one more row or column, the same as its last: the colours have it already."""
    import av

    luma, *colours = (_plane(plane) for plane in picture.planes)
    luma = np.pad(luma, [(0, picture.height % 2), (0, picture.width % 2)], mode="edge")
    rows = np.concatenate([part.ravel() for part in (luma, *colours)]).reshape(-1, luma.shape[1])
    even = av.VideoFrame.from_ndarray(rows, format=FORMAT)
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(even, name, getattr(picture, name))
    return even


def _plane(plane: Any) -> np.ndarray:
    """(height, width) uint8, without the padding of its lines."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
