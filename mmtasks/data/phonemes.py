"""Transcripts as sounds, by a pronouncing dictionary: a model that has heard little need not learn to spell."""

import re
from collections import Counter
from collections.abc import Iterable
from itertools import dropwhile
from typing import Any

import tokenizers
from tokenizers import Encoding, models, pre_tokenizers

from mmtasks.data.texts import locate, read_text
from mmtasks.data.tokenizer import PAD, UNKNOWN, Tokenizer
from mmtasks.errors import UserError

BOUNDARY = "|"
COMMENTS = (";", "#")
Sounds = tuple[str, ...]


class PhonemeTokenizer(Tokenizer):
    """The sounds of words, and a symbol between words; words without an entry in the dictionary become ``<unk>``.

    That symbol is learned, as some speech or other, and never written.

    Texts must be cleaned as the dictionary is written, which mostly is in small letters with apostrophes. Of words
    that sound alike ``decode`` takes the one that came most often in training; ``CTCSearch`` with a language model of
    words asks that for each place.

    ``symbols`` holds what each id stands for.

    Args:
        dictionary: UTF-8, a word and its sounds on a line, parted by spaces; ``word(2)`` or the same word again begins
            its second pronunciation. Numbers between word and sounds, the probabilities of Kaldi and of the Montreal
            Forced Aligner, are passed over, as is what follows ``#``. Environment variables are filled in;
            ``package:NAME/FILE`` is a file inside an installed package. Several: a word of the first is not looked up
            in the next.
    """

    learns_unknown = True

    def __init__(self, dictionary: str | list[str]) -> None:
        self.dictionary = dictionary
        self._sounds: dict[str, list[Sounds]] = {}
        self._spelled: dict[Sounds, str] = {}
        self.symbols: list[str] = []
        self._counts: Counter[str] = Counter()

    def fit(self, texts: Iterable[str]) -> None:
        """Read the dictionary, and count the words of the texts.

        Raises:
            UserError: the dictionary cannot be read, or has no word of the texts.
        """
        paths = [self.dictionary] if isinstance(self.dictionary, str) else self.dictionary
        ways: dict[str, list[Sounds]] = {}
        for path in paths:
            ways = _read(path) | ways
        counts = Counter(word for text in texts for word in text.split())
        if not any(word in ways for word in counts):
            raise UserError(
                f"{self.dictionary}: has no word of the training texts; clean them as it is written, or give another"
            )
        self._take(ways, counts)

    def unknown(self, text: str) -> list[str]:
        """The words of a text that are not in the dictionary."""
        return [word for word in text.split() if word not in self._sounds]

    def decode(self, ids: Iterable[int]) -> str:
        """The likeliest words of the ids; what sounds like no word is written as it sounds."""
        return " ".join(self._spell(sounds) for sounds in self._words(ids) if sounds)

    def begins_word(self, symbol: int, before: int) -> bool:
        """Whether the symbol is the one between words."""
        return self.symbols[symbol] == BOUNDARY

    def pronunciations(self) -> dict[str, list[tuple[int, ...]]]:
        """Every way to say each word, as ids."""
        ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        return {word: [tuple(ids[s] for s in sounds) for sounds in ways] for word, ways in self._sounds.items()}

    def state_dict(self) -> dict[str, Any]:
        """The dictionary, and how often its words came."""
        lines = (f"{word} {' '.join(way)}" for word, ways in self._sounds.items() for way in ways)
        return {**super().state_dict(), "lines": "\n".join(lines), "counts": dict(self._counts)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what ``state_dict`` gave; the file is not needed."""
        ways: dict[str, list[Sounds]] = {}
        for line in state["lines"].split("\n"):
            word, *sounds = line.split(" ")
            ways.setdefault(word, []).append(tuple(sounds))
        self._take(ways, Counter(state["counts"]))

    def _take(self, ways: dict[str, list[Sounds]], counts: Counter[str]) -> None:
        self._sounds = ways
        self._counts = Counter({word: count for word, count in counts.items() if word in ways})
        likeliest_last = sorted(ways, key=lambda word: (self._counts[word], -len(word)))
        self._spelled = {way: word for word in likeliest_last for way in ways[word]}
        known = sorted({sound for said in ways.values() for way in said for sound in way})
        self.symbols = [PAD, UNKNOWN, BOUNDARY, *known]
        vocabulary = {symbol: i for i, symbol in enumerate(self.symbols)}
        tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        self.use(tokenizer, 0)

    def _encode(self, text: str) -> Encoding:
        self._ready()
        said = [" ".join(self._sounds[word][0]) if word in self._sounds else UNKNOWN for word in text.split()]
        return super()._encode(f" {BOUNDARY} ".join(said))

    def _words(self, ids: Iterable[int]) -> list[Sounds]:
        """The sounds of each word, between the symbols that part them."""
        self._ready()
        words: list[list[str]] = [[]]
        for symbol in (self.symbols[i] for i in ids):
            if symbol == BOUNDARY:
                words.append([])
            elif symbol not in (PAD, UNKNOWN):
                words[-1].append(symbol)
        return [tuple(word) for word in words]

    def _spell(self, sounds: Sounds) -> str:
        return self._spelled.get(sounds, "".join(sounds).lower())


def _read(path: str) -> dict[str, list[Sounds]]:
    """The pronunciations of each word of a file."""
    ways: dict[str, list[Sounds]] = {}
    for number, line in enumerate(read_text(locate(path)).splitlines(), start=1):
        word, *sounds = re.sub(r"\s#.*", "", line).split() or [COMMENTS[0]]
        if word.startswith(COMMENTS):
            continue
        sounds = list(dropwhile(_is_number, sounds))
        if not sounds or {PAD, UNKNOWN, BOUNDARY} & set(sounds):
            raise UserError(f"{path}:{number}: {line!r} is no word with its sounds; write 'hello HH AH L OW'")
        ways.setdefault(re.sub(r"\(\d+\)$", "", word), []).append(tuple(sounds))
    return ways


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[\d.]+", text) is not None
