"""What a word that has only begun will cost at least, and how one that has ended is spelled."""

import math
from functools import lru_cache

from mmtasks.data.tokenizer import Tokenizer
from mmtasks.heads.language_model import REMEMBERED, NGram

NEVER = -math.inf
Symbols = tuple[int, ...]


class LookAhead:
    """Words as a language model knows them, by the symbols that a tokenizer writes (Ortmanns & Ney 2000).

    Symbols that are letters may write any word; those of a pronouncing dictionary its words, as far as the language
    model has seen them.

    Args:
        model: fitted.
        tokenizer: fitted; says what the symbols are.
    """

    def __init__(self, model: NGram, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        ways = tokenizer.pronunciations()
        self.by_dictionary = ways is not None
        """Whether symbols leave open how a word is spelled."""
        log_probs = model.alone(ways) if ways else {}
        self._beginnings = _beginnings(ways or {}, log_probs)
        self._spellings = _spellings(ways or {}, log_probs)
        self._letters = lru_cache(REMEMBERED)(self._by_letters)

    def __call__(self, word: Symbols) -> float:
        """Natural log of the probability that a word begins so, whatever came before; minus infinity if none does."""
        return self._beginnings.get(word, NEVER) if self.by_dictionary else self._letters(word)

    def spellings(self, word: Symbols) -> list[str]:
        """The words that the symbols of a whole word may stand for, the most frequent first."""
        if self.by_dictionary:
            return self._spellings.get(word, [])
        text = self._tokenizer.decode(word).strip()
        return [text] if text else []

    def _by_letters(self, word: Symbols) -> float:
        return self._model.beginning(self._tokenizer.decode(word).strip())


def _beginnings(ways: dict[str, list[Symbols]], log_probs: dict[str, float]) -> dict[Symbols, float]:
    """Log probability of each beginning of a pronunciation of the words that have a probability."""
    sums: dict[Symbols, float] = {}
    for word, log_prob in log_probs.items():
        share = math.exp(log_prob)
        for beginning in {way[:stop] for way in ways[word] for stop in range(1, len(way) + 1)}:
            sums[beginning] = sums.get(beginning, 0.0) + share
    return {beginning: math.log(total) for beginning, total in sums.items() if total > 0}


def _spellings(ways: dict[str, list[Symbols]], log_probs: dict[str, float]) -> dict[Symbols, list[str]]:
    """The words of each pronunciation that have a probability, the likeliest first."""
    found: dict[Symbols, list[str]] = {}
    for word in sorted(log_probs, key=lambda word: -log_probs[word]):
        for way in dict.fromkeys(ways[word]):
            found.setdefault(way, []).append(word)
    return found
