"""CTC prefix beam search, with a language model where there is one."""

import math
from functools import cache
from threading import Lock
from typing import Any, NamedTuple

from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.heads.ctc import Path, align
from mmtasks.heads.language_model import END, NGram
from mmtasks.heads.lookahead import NEVER, LookAhead

_building = Lock()
"""Steps that are heard side by side share what their search looks up."""


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
        self._language: _Language | None = None

    def build(self, state: dict[str, Any] | None) -> None:
        """Train the language model, or take what an earlier training gave."""
        self._language = None
        if self.language_model is None:
            return
        if state is None:
            self.language_model.fit()
        else:
            self.language_model.load_state_dict(state)

    def learned_facts(self) -> dict[str, Any]:
        """What ``build`` needs to need no file."""
        return {} if self.language_model is None else {"language_model": self.language_model.state_dict()}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_language": None}

    def __call__(self, log_probs: Tensor, mask: Tensor, blank: int, tokenizer: Tokenizer) -> list[Path]:
        """(B, N, V), (B, N) -> the best path of each sample; its score is the text's log probability a token."""
        rows = zip(log_probs.float().cpu(), mask.cpu(), strict=True)
        language = self._language_of(tokenizer)
        return [self._best(row[real], blank, language) for row, real in rows]

    def _language_of(self, tokenizer: Tokenizer) -> "_Language":
        with _building:
            if self._language is None or self._language.tokenizer is not tokenizer:
                self._language = _Language(self, tokenizer)
            return self._language

    def _best(self, log_probs: Tensor, blank: int, language: "_Language") -> Path:
        """(N, V) -> path."""
        beams: dict[_Prefix, _Beam] = {_Prefix((), language.start.context): _Beam(0.0, NEVER, language.start)}
        values, indices = log_probs.topk(min(self.symbols, log_probs.shape[1]), dim=1)
        blanks = log_probs[:, blank].tolist()
        known: Known = {}
        for row, symbols, pause in zip(values.tolist(), indices.tolist(), blanks, strict=True):
            least = NEVER if self.floor is None else min(self.floor, row[0])
            candidates = {
                symbol: value for symbol, value in zip(symbols, row, strict=True) if symbol != blank and value >= least
            }
            grown = _step(beams, candidates, pause, language, known)
            best = sorted(grown.items(), key=lambda item: item[1].rank, reverse=True)
            beams = dict(best[: self.beam])
        ids, words, total = language.end(beams)
        path = align(log_probs, ids, blank) or Path([], [], [], 0.0)
        spelled = words if path.ids and language.open_spelling else None
        return path._replace(score=total / max(len(log_probs), 1), words=spelled)


class _Prefix(NamedTuple):
    """What tells beams apart: the symbols, and the words of them that the language model still sees.

    One symbol may be spelled in several ways; what differs in earlier words only will never part again.
    """

    ids: tuple[int, ...]
    context: tuple[str, ...]


class _Said(NamedTuple):
    """What the language model knows of a prefix; word: symbols of the word that is not yet complete.

    A model of characters has read them already, and needs only the last. ahead: what that word will cost at least, for
    all we know: else a text that never ends a word would seem best. words: kept where symbols leave spelling open.
    """

    score: float
    context: tuple[str, ...]
    word: tuple[int, ...]
    ahead: float = 0.0
    words: tuple[str, ...] = ()

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

    @property
    def rank(self) -> float:
        return self.total + self.said.rank


class _Language:
    """The language model's part of a prefix's score."""

    def __init__(self, search: CTCSearch, tokenizer: Tokenizer) -> None:
        self.model, self.weight, self.bonus = search.language_model, search.weight, search.bonus
        self.tokenizer = tokenizer
        self.unknown = tokenizer.unknown_id if tokenizer.learns_unknown else None
        self.begins_word = cache(tokenizer.begins_word)
        self.piece = cache(lambda symbol: tokenizer.decode([symbol]))
        self.start = _Said(0.0, self.model.start if self.model else (), ())
        self.ahead = LookAhead(self.model, tokenizer) if self.model and self.model.unit == "word" else None
        self.open_spelling = self.ahead is not None and self.ahead.by_dictionary

    def extend(self, said: _Said, symbol: int) -> list[_Said]:
        """One more symbol: what may then be said, which is more than one thing where words sound alike."""
        if symbol == self.unknown:  # what is said there is one of the words, after all
            return []
        if self.model is None:
            return [said]
        piece = self.piece(symbol)
        begins = bool(said.word) and self.begins_word(symbol, said.word[-1])
        if self.ahead is None:
            for character in f" {piece.lstrip()}" if begins else piece:
                said = self._add(said, character)
            return [said._replace(word=(symbol,))]
        ended = self._complete(said) if begins else [said]
        if not piece.strip():
            return ended
        return [longer for one in ended if (longer := self._look_ahead((*one.word, symbol), one))]

    def end(self, beams: dict[_Prefix, _Beam]) -> tuple[tuple[int, ...], tuple[str, ...], float]:
        """The best text of all: its symbols, its words, and the log probability of its paths.

        Where none can end as it is, since all stop within a word, that word goes.
        """
        ended = [(prefix.ids, end, beam.total) for prefix, beam in beams.items() for end in self._ends(beam.said)]
        if not ended:
            cut = [(prefix.ids[: -len(beam.said.word)], beam) for prefix, beam in beams.items()]
            ended = [(ids, beam.said._replace(word=(), ahead=0.0), beam.total) for ids, beam in cut]
        ids, said, total = max(ended, key=lambda item: item[2] + item[1].score + self._end_gain(item[1]))
        return ids, said.words, total

    def _ends(self, said: _Said) -> list[_Said]:
        """The text, complete, in each of the ways that its last word may be spelled."""
        return self._complete(said) if self.ahead is not None else [said]

    def _end_gain(self, said: _Said) -> float:
        return 0.0 if self.model is None else self.weight * self.model.score(END, said.context)

    def _look_ahead(self, word: tuple[int, ...], said: _Said) -> _Said | None:
        assert self.ahead is not None
        log_prob = self.ahead(word)
        return None if log_prob == NEVER else said._replace(word=word, ahead=self.weight * log_prob + self.bonus)

    def _complete(self, said: _Said) -> list[_Said]:
        """The word has ended, in each of the ways that it may be spelled; none where nothing is said so."""
        if not said.word:
            return [said._replace(ahead=0.0)]
        assert self.ahead is not None
        return [self._add(said, word)._replace(word=(), ahead=0.0) for word in self.ahead.spellings(said.word)]

    def _add(self, said: _Said, unit: str) -> _Said:
        assert self.model is not None
        gain = self.weight * self.model.score(unit, said.context) + self.bonus
        words = (*said.words, unit) if self.open_spelling else ()
        return said._replace(score=said.score + gain, context=self.model.after(said.context, unit), words=words)


Known = dict[tuple[_Said, int], list[_Said]]
"""What was found already of a text and one symbol more."""


def _step(
    beams: dict[_Prefix, _Beam], candidates: dict[int, float], pause: float, language: _Language, known: Known
) -> dict[_Prefix, _Beam]:
    """All prefixes one token later. candidates: log probability of the symbols that are tried; pause: of the blank."""
    grown: dict[_Prefix, _Beam] = {}
    for prefix, beam in beams.items():
        last = prefix.ids[-1] if prefix.ids else None
        for symbol, value in candidates.items():
            before = beam.blank if symbol == last else beam.total
            if before == NEVER:
                continue
            ids, key = (*prefix.ids, symbol), (beam.said, symbol)
            if key not in known:
                known[key] = language.extend(*key)
            for said in known[key]:
                longer, new = _Prefix(ids, said.context), _Beam(NEVER, before + value, said)
                if longer not in grown or new.rank > grown[longer].rank:  # the same paths, spelled in another way
                    grown[longer] = new
    for prefix, beam in beams.items():
        last = prefix.ids[-1] if prefix.ids else None
        again = beam.symbol + candidates[last] if last in candidates else NEVER
        new = grown.get(prefix, _Beam(NEVER, NEVER, beam.said))
        said = max(beam.said, new.said, key=lambda said: said.rank)
        grown[prefix] = _Beam(beam.total + pause, _add(new.symbol, again), said)
    return grown


def _add(a: float, b: float) -> float:
    """log(exp(a) + exp(b))."""
    high, low = (a, b) if a > b else (b, a)
    return high if low == NEVER else high + math.log1p(math.exp(low - high))
