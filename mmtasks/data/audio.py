"""Open recordings safely and turn them into samples, by named steps."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.audio_av import frames, probe
from mmtasks.data.audio_header import cut_off, open_by_soundfile
from mmtasks.data.channel import Channel, flatten
from mmtasks.data.resampling import resampled
from mmtasks.errors import UserError

MAX_SECONDS = 4 * 3600.0
SILENT = 1e-5


class Audio(NamedTuple):
    """Mono sound. samples: (T,) float32, full scale is -1 to 1; rate: samples a second; start: seconds before it.

    channel: what is known of voice and microphone, at the rate that an ``AudioProcessor`` reads; None if nothing is.
    """

    samples: Tensor
    rate: int
    start: float = 0.0
    channel: Channel | None = None

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / self.rate

    @property
    def silent(self) -> bool:
        """Whether no sample is louder than 100 dB below full scale."""
        return not bool((self.samples.abs() >= SILENT).any())


def open_audio(
    path: str | Path,
    where: str,
    *,
    start: float = 0.0,
    end: float | None = None,
    max_seconds: float = MAX_SECONDS,
) -> Audio:
    """A recording, or the part of it between ``start`` and ``end`` seconds; channels are averaged.

    Reads wav, flac, ogg (Vorbis, Opus) and mp3 through soundfile, all else through PyAV (extra: ``media``).

    Args:
        path: the file.
        where: names the row in messages.
        start: seconds into the recording.
        end: seconds into the recording; None for its end.
        max_seconds: the longest part that is read.

    Raises:
        UserError: no such file; empty, cut off or not audio; nothing between start and end; longer than max_seconds;
            samples that are not numbers.
    """
    path = Path(path)
    name = where if where == str(path) else f"{where}: {path}"
    if start < 0 or (end is not None and end <= start):
        raise UserError(f"{name}: start {start} and end {end}: give 0 <= start < end, in seconds")
    check_whole(path, name)
    channels, rate = _decode(path, name, start, end, max_seconds)
    if not len(channels):
        reason = f"nothing at {start} s, it ends before" if start else "no samples"
        raise UserError(f"{name}: {reason}; give another part or recording")
    return Audio(mix(channels, name), rate)


def check_whole(path: Path, name: str) -> None:
    """Raise a UserError that begins with ``name`` where the file is missing, empty or lacks its end."""
    try:
        if not path.is_file():
            raise UserError(f"{name}: no such recording; check the path")
        if not path.stat().st_size:
            raise UserError(f"{name}: the file is empty; copy it again")
        if cut_off(path):
            raise UserError(f"{name}: the recording is cut off; copy it again")
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror}); check the path and who may read it") from None


def mix(channels: np.ndarray[Any, Any], name: str) -> Tensor:
    """The mean (T,) of channels (T, C); a UserError that begins with ``name`` where samples are not numbers."""
    samples = torch.from_numpy(channels.mean(axis=1))
    if not samples.isfinite().all():
        raise UserError(f"{name}: holds samples that are not numbers; export it again")
    return samples


def _decode(
    path: Path, name: str, start: float, end: float | None, max_seconds: float
) -> tuple[np.ndarray[Any, Any], int]:
    """(T, channels) float32 and the rate."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_by_soundfile(path))
        except soundfile.SoundFileError as error:
            return _decode_by_av(path, name, start, end, max_seconds, reason=" ".join(str(error).split()))
        try:
            return _read(file, name, start, end, max_seconds), file.samplerate
        except soundfile.SoundFileError as error:
            told = " ".join(str(error).split())
            raise UserError(f"{name}: damaged or cut off ({told}); copy it again") from None


def _read(
    file: soundfile.SoundFile, name: str, start: float, end: float | None, max_seconds: float
) -> np.ndarray[Any, Any]:
    """(T, channels) float32 of the part between start and end."""
    first = min(int(start * file.samplerate), file.frames)
    stop = file.frames if end is None else min(int(end * file.samplerate), file.frames)
    if stop - first > max_seconds * file.samplerate:
        raise UserError(f"{name}: longer than {max_seconds:.0f} s; cut it, or give start and end")
    file.seek(first)
    channels: np.ndarray[Any, Any] = file.read(stop - first, dtype="float32", always_2d=True)
    if len(channels) < stop - first:
        raise UserError(f"{name}: the recording is cut off; copy it again")
    return channels


def _decode_by_av(
    path: Path, name: str, start: float, end: float | None, max_seconds: float, *, reason: str
) -> tuple[np.ndarray[Any, Any], int]:
    rate, _ = probe(path, name, reason)
    limit = (min(end, start + max_seconds) if end is not None else start + max_seconds) * rate
    parts, read = [], 0
    for part in frames(path, name):
        parts.append(part)
        read += len(part)
        if read > limit:
            break
    channels = np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
    if end is None and len(channels) > limit:
        raise UserError(f"{name}: longer than {max_seconds:.0f} s; cut it, or give start and end")
    return channels[int(start * rate) : None if end is None else int(end * rate)], rate


def loudness(audio: Audio, *, decibels: float = -20.0) -> Audio:
    """Scale to a root mean square of so many dB below full scale; silence stays silent."""
    level = audio.samples.square().mean().sqrt()
    if level < 1e-8:
        return audio
    return audio._replace(samples=audio.samples * (10 ** (decibels / 20) / level))


def trim(audio: Audio, *, decibels: float = 40.0, keep: float = 0.1) -> Audio:
    """Cut silence at both ends: 20 ms frames more than so many dB below the loudest; ``keep`` seconds of it stay."""
    size = max(1, int(0.02 * audio.rate))
    frames = len(audio.samples) // size
    if frames < 2:
        return audio
    power = audio.samples[: frames * size].view(frames, size).square().mean(dim=1)
    loud = (power > power.max() * 10 ** (-decibels / 10)).nonzero().flatten()
    if not len(loud):
        return audio
    margin = int(keep * audio.rate)
    first, last = max(0, int(loud[0]) * size - margin), (int(loud[-1]) + 1) * size + margin
    return audio._replace(samples=audio.samples[first:last], start=audio.start + first / audio.rate)


def equalise(audio: Audio) -> Audio:
    """Take away the average spectrum of who speaks through which microphone, or of this recording if they are unknown.

    As the mean of each speaker is taken away in Kaldi (Povey et al. 2011); that of a single word alone would take away
    what its vowels sound like, so give the rows of a manifest ``speaker``.
    """
    channel = Channel.of(audio.samples, audio.rate) if audio.channel is None else audio.channel
    return audio._replace(samples=flatten(audio.samples, audio.rate, channel))


STEPS: dict[str, Callable[..., Audio]] = {"loudness": loudness, "trim": trim, "equalise": equalise}


class AudioProcessor(Configured):
    """Recordings to samples of one rate.

    A step is ``loudness``, ``trim``, ``equalise``, or ``{name: {argument: value}}``.

    Args:
        rate: samples a second; recordings of another rate are resampled.
        steps: applied after resampling, in order; None for ``[trim, loudness]``.

    >>> AudioProcessor(8000)(Audio(torch.ones(16000), 16000)).shape
    torch.Size([8000])
    """

    def __init__(self, rate: int = 16_000, steps: list[str | dict[str, Any]] | None = None) -> None:
        if rate < 1000:
            raise ValueError(f"rate {rate} must be at least 1000 samples a second")
        self.rate = rate
        self.steps = ["trim", "loudness"] if steps is None else list(steps)
        self._steps = [_make(step) for step in self.steps]

    @property
    def equalises(self) -> bool:
        """Whether it wants to know the channels of recordings."""
        return any(name_of(step) == "equalise" for step in self.steps)

    def channel(self, recordings: Sequence[Audio], before: Channel | None = None) -> Channel:
        """Of recordings of one speaker, and of what he said before: as ``equalise`` wants to know it."""
        known = Channel.of(torch.zeros(0), self.rate) if before is None else before
        parts = [Channel.of(resample(audio, self.rate).samples, self.rate) for audio in recordings]
        return Channel.together([known, *parts])

    def __call__(self, audio: Audio) -> Tensor:
        """A recording -> (T,) float32."""
        return self.prepare(audio).samples

    def prepare(self, audio: Audio) -> Audio:
        """The same, with its rate and with where it starts in the given recording."""
        audio = resample(audio, self.rate)
        for step in self._steps:
            audio = step(audio)
        return audio


def resample(audio: Audio, rate: int) -> Audio:
    """The same sound at another rate."""
    return audio._replace(samples=resampled(audio.samples, audio.rate, rate), rate=rate)


def name_of(step: str | dict[str, Any]) -> str:
    """The name of an audio step."""
    return step if isinstance(step, str) else next(iter(step), "")


def _make(step: str | dict[str, Any]) -> Callable[[Audio], Audio]:
    name = name_of(step)
    arguments: Any = {} if isinstance(step, str) else next(iter(step.values()), {})
    if name not in STEPS or not isinstance(arguments, dict):
        raise ValueError(f"audio step {step!r}: give one of {', '.join(STEPS)}, or {{name: {{argument: value}}}}")
    made = partial(STEPS[name], **arguments)
    try:
        made(Audio(torch.zeros(1), 16_000))
    except TypeError as error:
        raise ValueError(f"audio step {step!r}: {error}") from None
    return made
