"""Texts from files, read aloud: speech for what was written but never recorded."""

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mmtasks.data.acoustics import Acoustics
from mmtasks.data.spoken.source import Spoken
from mmtasks.data.spoken.voices import ACCENTS
from mmtasks.data.texts import read_texts


class SpokenTexts(Spoken):
    """Texts of a file, read by espeak-ng (extra: ``synthesis``), each time by another voice.

    Args:
        path: what ``mmtasks.data.texts.read_texts`` reads: a text file with a sentence a line, a manifest, a list of
            words.
        number: utterances; each text is read once before one is read again. None: until each was read once.
        words: how many words an utterance has, the fewest and the most, drawn for each: of a longer text some in a row
            are read, shorter ones are read one after the other. None for the texts as they are.
        limit: read no more than so many texts, the first.
        split: whose voices read: ``train``, ``val`` or ``test``.
        seed: of order, voices and rooms.
        rate: samples a second.
        acoustics: noise and reverberation; None for none.
        accents: languages of espeak-ng, as ``en-us``, one drawn for each utterance; None for all of its English ones.

    Raises:
        UserError: the file cannot be read or holds no text.
    """

    def __init__(
        self,
        path: str,
        *,
        number: int | None = None,
        words: tuple[int, int] | None = None,
        limit: int | None = None,
        split: str = "train",
        seed: int = 0,
        rate: int = 16_000,
        acoustics: Acoustics | None = None,
        accents: list[str] | None = None,
    ) -> None:
        if words is not None and not 1 <= words[0] <= words[1]:
            raise ValueError(f"words {list(words)} must be the fewest and the most, at least 1")
        if limit is not None and limit < 1:
            raise ValueError(f"limit {limit} must be at least 1, or None for all")
        super().__init__(split, 1 if number is None else number, seed, rate, acoustics)
        self.accents = accents or ACCENTS
        self.path = path
        self.words = words
        self.limit = limit
        self.name = "-".join(Path(path).with_suffix("").parts[-2:])
        passages = list(islice(self._passages(read_texts(path, limit=limit), again=number is not None), number))
        self.number = len(passages)
        self.wheres = [where for where, _ in passages]
        self.texts = [text for _, text in passages]

    def _passages(self, texts: list[tuple[str, str]], *, again: bool) -> Iterator[tuple[str, str]]:
        """Where an utterance is from, and what it says; ``again``: without end."""
        rng = self._random("passages")
        drawn = _shuffled(texts, rng, again=again)
        for where, text in drawn:
            said = text.split()
            if self.words is not None:
                size = rng.randint(*self.words)
                start = rng.randint(0, max(0, len(said) - size))
                said = said[start : start + size]
                while len(said) < size and (more := next(drawn, None)):
                    said += more[1].split()[: size - len(said)]
            yield where, " ".join(said)


def _shuffled(texts: list[tuple[str, str]], rng: random.Random, *, again: bool) -> Iterator[tuple[str, str]]:
    """All in random order; ``again``: and then anew, without end."""
    while True:
        yield from rng.sample(texts, len(texts))
        if not again:
            return
