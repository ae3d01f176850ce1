"""Text to speech by espeak-ng (extra: ``synthesis``), sample for sample the same each time, with the times of sounds.

espeak-ng goes on from where its last utterance left pitch flutter and noise. So the library is loaded afresh for each
one, which takes milliseconds: nothing said before, by another thread or before a fork, can be heard.
"""

import _ctypes
import ctypes
import os
import threading
from functools import cache
from itertools import count, takewhile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from mmtasks.data.audio import Audio
from mmtasks.errors import UserError

SYNCHRONOUS, OPTIONS, UTF8 = 2, 0x8000 | 2 | 1, 1
RATE, PITCH, RANGE = 1, 3, 4
LAST, PHONEME = 0, 7
"""Constants of speak_lib.h: output mode, options (no exit, phonemes in IPA, phonemes at all), parameters of a voice,
types of events."""


class _Event(ctypes.Structure):
    """``espeak_EVENT``; ``text`` is one of a union, whose pointer puts it on an address divisible by 8."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("text", ctypes.c_char * 8),
    )


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))
_lock = threading.Lock()
_unload = getattr(_ctypes, "FreeLibrary" if os.name == "nt" else "dlclose")


if hasattr(os, "register_at_fork"):  # a child forked in the middle of an utterance would go on with its remains
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)


class Voice(NamedTuple):
    """How it is said.

    accent: a language of espeak-ng, as "en-us"; variant: one of ``variants()``; speed: words a minute, 80 to 450;
    pitch: 0 to 99, 50 as the variant has it; intonation: how far pitch moves, 0 to 99.
    """

    accent: str = "en-us"
    variant: str = "m3"
    speed: int = 150
    pitch: int = 50
    intonation: int = 50

    @property
    def name(self) -> str:
        """Short and distinct, as "en-us+m3-150-50-50"."""
        return f"{self.accent}+{self.variant}-{self.speed}-{self.pitch}-{self.intonation}"


class Phoneme(NamedTuple):
    """One sound. ipa: as "ˈaɪ", "" for a pause; start, end: seconds into the recording."""

    ipa: str
    start: float
    end: float


class Said(NamedTuple):
    """A recording and the sounds in it, which follow each other without gaps."""

    audio: Audio
    phonemes: list[Phoneme]


def synthesise(text: str, voice: Voice) -> Said:
    """Say a text.

    Raises:
        ValueError: no such accent or variant, or a number out of range.
        UserError: espeak-ng is not installed.
    """
    _check(voice)
    said: list[bytes] = []
    begun: list[tuple[str, int]] = []

    @_CALLBACK
    def collect(samples: int | None, number: int, events: Any) -> int:
        if samples and number > 0:
            said.append(ctypes.string_at(samples, 2 * number))
        for event in takewhile(lambda event: event.type != LAST, (events[i] for i in count())):
            if event.type == PHONEME:
                begun.append((event.text.decode(errors="ignore"), event.sample))
        return 0

    with _lock:
        library = ctypes.CDLL(_espeak().get_library_path())
        try:
            rate = _speak(library, text, voice, collect)
        finally:
            library.espeak_Terminate()
            _unload(library._handle)
    samples = np.frombuffer(b"".join(said), dtype=np.int16)
    audio = Audio(torch.from_numpy(samples.astype(np.float32) / 32768), rate)
    ends = [start for _, start in begun[1:]] + [len(samples)]
    phonemes = [Phoneme(ipa, start / rate, end / rate) for (ipa, start), end in zip(begun, ends, strict=True)]
    return Said(audio, phonemes)


@cache
def variants() -> tuple[str, ...]:
    """Every voice variant that espeak-ng has."""
    return tuple(sorted(path.name for path in Path(_espeak().get_data_path(), "voices", "!v").iterdir()))


def _speak(library: Any, text: str, voice: Voice, collect: Any) -> int:
    """Returns the samples a second."""
    rate: int = library.espeak_Initialize(SYNCHRONOUS, 0, _espeak().get_data_path().encode(), OPTIONS)
    if rate <= 0:
        raise UserError(f"espeak-ng cannot read its data in {_espeak().get_data_path()}; install it again")
    library.espeak_SetSynthCallback(collect)
    if library.espeak_SetVoiceByName(f"{voice.accent}+{voice.variant}".encode()):
        raise ValueError(f"accent {voice.accent!r} is no language of espeak-ng; give one such as 'en-us'")
    for parameter, value in ((RATE, voice.speed), (PITCH, voice.pitch), (RANGE, voice.intonation)):
        library.espeak_SetParameter(parameter, value, 0)
    library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the time of day
    encoded = text.encode() + b"\0"
    library.espeak_Synth(encoded, ctypes.c_size_t(len(encoded)), 0, 0, 0, UTF8, None, None)
    return rate


def _check(voice: Voice) -> None:
    if voice.variant not in variants():  # which espeak-ng passes over in silence
        raise ValueError(f"variant {voice.variant!r} is none of espeak-ng's: {', '.join(variants())}")
    if not 80 <= voice.speed <= 450:
        raise ValueError(f"speed {voice.speed} must be 80 to 450 words a minute")
    if not (0 <= voice.pitch <= 99 and 0 <= voice.intonation <= 99):
        raise ValueError(f"pitch {voice.pitch} and intonation {voice.intonation} must be 0 to 99")


def _espeak() -> Any:
    try:
        import espeakng_loader
    except ImportError:
        raise UserError("speech synthesis needs espeak-ng: pip install mmtasks[synthesis]") from None
    return espeakng_loader
