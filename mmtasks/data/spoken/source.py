"""The spoken world as rows of utterances with transcripts, and with films of the mouths that say them."""

import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmtasks.data.acoustics import Acoustics
from mmtasks.data.audio import Audio, loudness, resample
from mmtasks.data.mouths.face import draw_camera, draw_face
from mmtasks.data.mouths.film import MouthFilm
from mmtasks.data.processes import in_processes
from mmtasks.data.scenes.grammar import captions
from mmtasks.data.scenes.pairs import distinct_scenes
from mmtasks.data.scenes.splits import SPLITS, check_choice
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.data.spoken.commands import draw_sentence
from mmtasks.data.spoken.synthesis import Phoneme, Said, Voice, synthesise
from mmtasks.data.spoken.voices import ACCENTS, draw_voice
from mmtasks.voice.grammar import HOME, Command, Grammar


class Spoken(SpeechSource):
    """What all sources share: texts, each spoken when first loaded by a voice, in a room, of its own.

    What was spoken stays in memory, two bytes a sample: 32 kB a second at 16 kHz. Films are drawn anew each time; a
    voice variant has a mouth of its own.
    """

    name: str

    def __init__(self, split: str, number: int, seed: int, rate: int, acoustics: Acoustics | None) -> None:
        check_choice("split", split, SPLITS)
        if number < 1:
            raise ValueError(f"number {number} must be at least 1")
        if not 4000 <= rate <= 48_000:
            raise ValueError(f"rate {rate} must be 4000 to 48000 samples a second")
        self.split = split
        self.number = number
        self.seed = seed
        self.rate = rate
        self.acoustics = acoustics
        self.accents: Sequence[str] = ACCENTS
        self.texts: list[str] = []
        self.wheres: list[str] = []
        self._spoken: dict[int, Tensor] = {}
        self._phonemes: dict[int, list[Phoneme]] = {}

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: Any) -> Any:
        """Row ``index``, or a list of rows for a slice; ``seconds`` are known once it was loaded."""
        chosen = range(len(self))[index]
        return [self._at(i) for i in chosen] if isinstance(chosen, range) else self._at(chosen)

    def make_ahead(self, rows: Sequence[int] | None = None) -> None:
        """Say what was not said yet, by a process for each core: espeak-ng says one thing at a time."""
        missing = [i for i in (range(len(self)) if rows is None else rows) if i not in self._spoken]
        if not missing:
            return
        for i, (samples, phonemes) in zip(missing, in_processes(self._recorded, missing), strict=True):
            self._spoken[i], self._phonemes[i] = torch.from_numpy(samples), phonemes

    def __getstate__(self) -> dict[str, Any]:
        """All but the sound."""
        return {**self.__dict__, "_spoken": {}, "_phonemes": {}}

    def _at(self, i: int) -> SpeechRow:
        voice = draw_voice(self.split, self._random("voice", i), self.accents)
        seconds = len(self._spoken[i]) / self.rate if i in self._spoken else None
        where = self.wheres[i] if self.wheres else f"{self.name}-{self.split}:{i + 1}"
        id = f"{self.name}-{self.split}-{self.seed}-{i}"
        load = partial(self._load, i)
        return SpeechRow(id, self.texts[i], load, where, seconds, voice.name, "en", film=self._film(i, voice))

    def _film(self, i: int, voice: Voice) -> MouthFilm:
        camera = self._random("camera", i)
        face = draw_face(random.Random(f"face {voice.variant}"))
        return MouthFilm(partial(self._said, i), face, draw_camera(camera), seed=camera.getrandbits(32))

    def _load(self, i: int) -> Audio:
        return self._said(i).audio

    def _said(self, i: int) -> Said:
        if i not in self._spoken:
            samples, self._phonemes[i] = self._recorded(i)
            self._spoken[i] = torch.from_numpy(samples)
        return Said(Audio(self._spoken[i].float() / 32767, self.rate), self._phonemes[i])

    def _recorded(self, i: int) -> tuple[np.ndarray[Any, Any], list[Phoneme]]:
        """Samples (T,) as they stay in memory, and the sounds in them."""
        audio, phonemes = self._speak(i)
        return (audio.samples.clamp(-1, 1) * 32767).round().to(torch.int16).numpy(), phonemes

    def _speak(self, i: int) -> Said:
        spoken, phonemes = synthesise(self.texts[i], draw_voice(self.split, self._random("voice", i), self.accents))
        audio = loudness(resample(spoken, self.rate))
        if self.acoustics is not None:
            audio = self.acoustics(audio, self._random("acoustics", i))
        return Said(audio, phonemes)

    def _random(self, what: str, i: int | None = None) -> random.Random:
        return random.Random(f"{self.name} {what} {self.split} {self.seed} {i}")


class SpokenCommands(Spoken):
    """Commands of a grammar, read by espeak-ng (extra: ``synthesis``).

    Val and test are said by voices, and command combinations of slots, that training never hears.

    Args:
        split: ``train``, ``val`` or ``test``.
        number: utterances.
        seed: of sentences, voices and rooms.
        grammar: a YAML file, or ``home`` for the one that ships.
        rate: samples a second.
        acoustics: noise and reverberation; None for none.

    >>> SpokenCommands("test", number=2)[1].text
    'set the temperature in the bedroom to sixteen'
    """

    name = "commands"

    def __init__(
        self,
        split: str = "train",
        *,
        number: int = 200,
        seed: int = 0,
        grammar: str = HOME,
        rate: int = 16_000,
        acoustics: Acoustics | None = None,
    ) -> None:
        super().__init__(split, number, seed, rate, acoustics)
        self.grammar = grammar
        read = Grammar.read(grammar)
        drawn = [draw_sentence(read, split, self._random("sentence", i)) for i in range(number)]
        self.texts = [text for text, _ in drawn]
        self.commands: list[Command] = [command for _, command in drawn]


class SpokenCaptions(Spoken):
    """Captions of distinct drawn scenes (``mmtasks.data.scenes``), read by espeak-ng (extra: ``synthesis``).

    Args:
        split: ``train``, ``val`` or ``test``; no two share a combination of colours and shapes.
        number: utterances.
        seed: of scenes, voices and rooms.
        rate: samples a second.
        acoustics: noise and reverberation; None for none.

    >>> len(SpokenCaptions("test", number=2)[0].text.split()) > 6
    True
    """

    name = "captions"

    def __init__(
        self,
        split: str = "train",
        *,
        number: int = 200,
        seed: int = 0,
        rate: int = 16_000,
        acoustics: Acoustics | None = None,
    ) -> None:
        super().__init__(split, number, seed, rate, acoustics)
        self.scenes = distinct_scenes(number, self._random("scenes"), split)
        self.texts = [captions(scene, self._random("caption", i), 1)[0] for i, scene in enumerate(self.scenes)]
