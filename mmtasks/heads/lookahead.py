"""What a word that has only begun will cost at least (language model look-ahead, Ortmanns & Ney 2000)."""

import math
from functools import lru_cache

from mmtasks.data.tokenizer import Tokenizer
from mmtasks.heads.language_model import REMEMBERED, NGram

NEVER = -math.inf


class LookAhead:
    """Log probability, by a language model of words and whatever came before, that a word begins with some symbols.

    ``by_dictionary`` tells whether those of a word leave open how it is spelled.

    Symbols that are letters may write any word; with those of a pronouncing dictionary nothing but its words begins.

    Args:
        model: fitted.
        tokenizer: fitted; says what the symbols are.
    """

    def __init__(self, model: NGram, tokenizer: Tokenizer) -> None:
        self._model = model
        self._tokenizer = tokenizer
        ways = tokenizer.pronunciations()
        self.by_dictionary = ways is not None
        self._beginnings = None if ways is None else _beginnings(ways, model.alone(ways))
        self._letters = lru_cache(REMEMBERED)(self._by_letters)

    def __call__(self, word: tuple[int, ...]) -> float:
        """Natural log; minus infinity where no word begins so."""
        return self._letters(word) if self._beginnings is None else self._beginnings.get(word, NEVER)

    def _by_letters(self, word: tuple[int, ...]) -> float:
        return self._model.beginning(self._tokenizer.decode(word).strip())


def _beginnings(ways: dict[str, list[tuple[int, ...]]], log_probs: dict[str, float]) -> dict[tuple[int, ...], float]:
    """Log probability of each beginning of a pronunciation of the words that have a probability."""
    sums: dict[tuple[int, ...], float] = {}
    for word, log_prob in log_probs.items():
        share = math.exp(log_prob)
        for beginning in {way[:stop] for way in ways[word] for stop in range(1, len(way) + 1)}:
            sums[beginning] = sums.get(beginning, 0.0) + share
    return {beginning: math.log(total) for beginning, total in sums.items() if total > 0}
