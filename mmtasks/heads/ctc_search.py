"""CTC prefix beam search, with a language model where there is one."""

import math
from functools import cache
from typing import Any, NamedTuple

from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.heads.ctc import Path, align
from mmtasks.heads.language_model import END, NGram

NEVER = -math.inf


class CTCSearch(Configured):
    """The texts whose paths together are most probable (Hannun et al. 2014), the best ``beam`` kept at each token.

    Ranked by log probability of the text given the sound + ``weight`` · log probability of the language model +
    ``bonus`` for each word or character, whichever the model reads.

    Args:
        beam: texts kept.
        symbols: the most symbols of a token that are tried.
        floor: log probability below which a symbol is not tried, unless it is the likeliest; most tokens then leave
            little to try. None for no such bound.
        language_model: trained when the weights are built; travels in the checkpoint.
        weight: of the language model.
        bonus: natural log; above 0 against words that a language model drops.
    """

    def __init__(
        self,
        beam: int = 16,
        *,
        symbols: int = 20,
        floor: float | None = None,
        language_model: NGram | None = None,
        weight: float = 0.5,
        bonus: float = 0.0,
    ) -> None:
        if beam < 1 or symbols < 1:
            raise ValueError(f"beam {beam} and symbols {symbols} must be at least 1")
        if floor is not None and floor > 0:
            raise ValueError(f"floor {floor} must be a log probability: at most 0")
        if weight < 0:
            raise ValueError(f"weight {weight} must be at least 0")
        self.beam = beam
        self.symbols = symbols
        self.floor = floor
        self.language_model = language_model
        self.weight = weight
        self.bonus = bonus

    def build(self, state: dict[str, Any] | None) -> None:
        """Train the language model, or take what an earlier training gave."""
        if self.language_model is None:
            return
        if state is None:
            self.language_model.fit()
        else:
            self.language_model.load_state_dict(state)

    def learned_facts(self) -> dict[str, Any]:
        """What ``build`` needs to need no file."""
        return {} if self.language_model is None else {"language_model": self.language_model.state_dict()}

    def __call__(self, log_probs: Tensor, mask: Tensor, blank: int, tokenizer: Tokenizer) -> list[Path]:
        """(B, N, V), (B, N) -> the best path of each sample; its score is the text's log probability a token."""
        rows = zip(log_probs.float().cpu(), mask.cpu(), strict=True)
        language = _Language(self, tokenizer)
        return [self._best(row[real], blank, language) for row, real in rows]

    def _best(self, log_probs: Tensor, blank: int, language: "_Language") -> Path:
        """(N, V) -> path."""
        beams: dict[tuple[int, ...], _Beam] = {(): _Beam(0.0, NEVER, language.start)}
        values, indices = log_probs.topk(min(self.symbols, log_probs.shape[1]), dim=1)
        blanks = log_probs[:, blank].tolist()
        for row, symbols, pause in zip(values.tolist(), indices.tolist(), blanks, strict=True):
            least = NEVER if self.floor is None else min(self.floor, row[0])
            candidates = {
                symbol: value for symbol, value in zip(symbols, row, strict=True) if symbol != blank and value >= least
            }
            grown = _step(beams, candidates, pause, language)
            best = sorted(grown.items(), key=lambda item: item[1].total + item[1].said.rank, reverse=True)
            beams = dict(best[: self.beam])
        ids, found = max(beams.items(), key=lambda item: item[1].total + language.finish(item[1].said))
        path = align(log_probs, ids, blank) or Path([], [], [], 0.0)
        return path._replace(score=found.total / max(len(log_probs), 1))


class _Said(NamedTuple):
    """What the language model knows of a prefix; word: symbols of the word that is not yet complete.

    A model of characters has read them already, and needs only the last. ahead: what that word will cost at least, for
    all we know (language model look-ahead, Ortmanns & Ney 2000): else a text that never ends a word would seem best.
    """

    score: float
    context: tuple[str, ...]
    word: tuple[int, ...]
    ahead: float = 0.0

    @property
    def rank(self) -> float:
        return self.score + self.ahead


class _Beam(NamedTuple):
    """Log probabilities of a prefix's paths that end in a blank, and in its last symbol."""

    blank: float
    symbol: float
    said: _Said

    @property
    def total(self) -> float:
        return _add(self.blank, self.symbol)


class _Language:
    """The language model's part of a prefix's score."""

    def __init__(self, search: CTCSearch, tokenizer: Tokenizer) -> None:
        self.model, self.weight, self.bonus = search.language_model, search.weight, search.bonus
        self.tokenizer = tokenizer
        self.begins_word = cache(tokenizer.begins_word)
        self.start = _Said(0.0, self.model.start if self.model else (), ())

    def extend(self, said: _Said, symbol: int) -> _Said:
        """One more symbol."""
        if self.model is None:
            return said
        piece = self.tokenizer.decode([symbol])
        begins = bool(said.word) and self.begins_word(symbol, said.word[-1])
        if self.model.unit == "character":
            for character in f" {piece.lstrip()}" if begins else piece:
                said = self._add(said, character)
            return said._replace(word=(symbol,))
        if begins:
            said = self._complete(said)
        return self._look_ahead((*said.word, symbol), said) if piece.strip() else said

    def finish(self, said: _Said) -> float:
        """The score of the whole text."""
        if self.model is None:
            return said.score
        if self.model.unit == "word":
            said = self._complete(said)
        return said.score + self.weight * self.model.score(END, said.context)

    def _look_ahead(self, word: tuple[int, ...], said: _Said) -> _Said:
        assert self.model is not None
        gain = self.weight * self.model.beginning(self.tokenizer.decode(word).strip()) + self.bonus
        return said._replace(word=word, ahead=gain)

    def _complete(self, said: _Said) -> _Said:
        word = self.tokenizer.decode(said.word).strip() if said.word else ""
        return self._add(said, word)._replace(word=(), ahead=0.0) if word else said

    def _add(self, said: _Said, unit: str) -> _Said:
        assert self.model is not None
        gain = self.weight * self.model.score(unit, said.context) + self.bonus
        return said._replace(score=said.score + gain, context=self.model.after(said.context, unit))


def _step(
    beams: dict[tuple[int, ...], _Beam], candidates: dict[int, float], pause: float, language: _Language
) -> dict[tuple[int, ...], _Beam]:
    """All prefixes one token later. candidates: log probability of the symbols that are tried; pause: of the blank."""
    grown: dict[tuple[int, ...], _Beam] = {}

    def put(prefix: tuple[int, ...], blank: float, symbol: float, said: _Said) -> None:
        old = grown.get(prefix)
        grown[prefix] = (
            _Beam(_add(old.blank, blank), _add(old.symbol, symbol), said) if old else _Beam(blank, symbol, said)
        )

    for prefix, beam in beams.items():
        last = prefix[-1] if prefix else None
        again = beam.symbol + candidates[last] if last in candidates else NEVER
        put(prefix, beam.total + pause, again, beam.said)
        for symbol, value in candidates.items():
            before = beam.blank if symbol == last else beam.total
            if before == NEVER:
                continue
            longer = (*prefix, symbol)
            known = grown.get(longer) or beams.get(longer)
            said = known.said if known else language.extend(beam.said, symbol)
            put(longer, NEVER, before + value, said)
    return grown


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = (a, b) if a > b else (b, a)
    return high if low == NEVER else high + math.log1p(math.exp(low - high))
