"""An n-gram language model, trained by nltk."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmtasks.data.clean import check_steps, clean
from mmtasks.data.texts import read_ngrams, read_texts
from mmtasks.errors import UserError

UNITS = ("word", "character")
START, END, UNSEEN = "<s>", "</s>", "<UNK>"
SEPARATOR = "\0"


class NGram:
    """Probability of a word or character after the ones before it, by interpolated Witten-Bell smoothing.

    What was never seen counts as one unit that came once. Needs the extra ``speech``.

    Args:
        path: UTF-8 text, a sentence a line, or a manifest whose texts are read; one path or several.
        order: 3 for the two units before.
        unit: ``word`` or ``character``.
        clean: cleaning steps of the lines, those of the transcripts; None for none but whitespace.
        vocabulary: further words, each as if it came once, alone; what ``read_texts`` reads, a word a text.
        vocabulary_size: the most of them, from the first.
        ngrams: further n-grams of words with their counts, up to ``order`` long; what ``read_ngrams`` reads. A longer
            one does not count the shorter ones within it, but words that nothing else knows are as if each came once.
        ngrams_number: how many n-grams of each length these are taken for in all, whatever their counts add up to:
            counts of a far larger text must not drown the one at hand.
        spelling: for words, the order of a second model, of the letters of all words: what was never seen must then
            also be spelled like a word; 0 for none.
    """

    def __init__(
        self,
        path: str | list[str],
        *,
        order: int = 3,
        unit: str = "word",
        clean: list[str] | None = None,
        vocabulary: str | None = None,
        vocabulary_size: int | None = None,
        ngrams: str | None = None,
        ngrams_number: float = 300_000,
        spelling: int = 0,
    ) -> None:
        if order < 1:
            raise ValueError(f"order {order} must be at least 1")
        if unit not in UNITS:
            raise ValueError(f"unit {unit!r} is none of {', '.join(UNITS)}")
        if spelling < 0:
            raise ValueError(f"spelling {spelling} must be at least 0")
        if unit != "word" and (spelling or vocabulary or ngrams):
            raise ValueError(f"vocabulary, ngrams and spelling are of a model of words; unit is {unit!r}")
        if not ngrams_number > 0:
            raise ValueError(f"ngrams_number {ngrams_number} must be above 0")
        check_steps(clean or [])
        self.path = path
        self.order = order
        self.unit = unit
        self.clean = clean
        self.vocabulary = vocabulary
        self.vocabulary_size = vocabulary_size
        self.ngrams = ngrams
        self.ngrams_number = ngrams_number
        self.spelling = spelling
        self._known: dict[tuple[str, tuple[str, ...]], float] = {}

    def fit(self) -> None:
        """Count the n-grams of the files.

        Raises:
            UserError: a file cannot be read or holds no text, or nltk is not installed.
        """
        paths = [self.path] if isinstance(self.path, str) else self.path
        sentences = [sentence for path in paths for sentence in self._sentences(path)]
        if not sentences:
            raise UserError(f"{self.path}: nothing is left for the language model after cleaning; write sentences")
        counter = _count(sentences, self.order)
        if self.vocabulary is not None:
            words = {word for text in self._sentences(self.vocabulary, self.vocabulary_size) for word in text}
            for word in sorted(words):
                counter.unigrams[word] += 1
        if self.ngrams is not None:
            self._add_ngrams(counter)
        self._use(counter)

    def split(self, text: str) -> list[str]:
        """A text in units."""
        return text.split() if self.unit == "word" else list(text)

    @property
    def start(self) -> tuple[str, ...]:
        """The context in which a text begins."""
        return (START,) * (self.order - 1)

    def after(self, context: tuple[str, ...], unit: str) -> tuple[str, ...]:
        """The context of the next unit."""
        return (*context, unit)[len(context) + 2 - self.order :] if self.order > 1 else ()

    def score(self, unit: str, context: tuple[str, ...]) -> float:
        """Natural log of the unit's probability after the context; ``</s>`` is the end of the text."""
        key = (unit, context)
        if key not in self._known:
            unknown = self._letters is not None and unit not in self._model.vocab
            spelled = self._spell([*unit, END]) if unknown else 0.0
            self._known[key] = math.log(self._model.score(unit, context)) + spelled
        return self._known[key]

    def beginning(self, letters: str) -> float:
        """Natural log of the probability that a word begins with these letters, whatever comes before it."""
        count = self._beginnings.get(letters, 0)
        if count:
            return math.log(count / self._beginnings[""])
        return math.log(1 / self._beginnings[""]) + self._spell([*letters])

    def state_dict(self) -> dict[str, float]:
        """How often each n-gram came, as plain values."""
        counts = {unit: count for unit, count in self._counter.unigrams.items()}
        for size in range(2, self.order + 1):
            for context, following in self._counter[size].items():
                counts |= {SEPARATOR.join([*context, unit]): count for unit, count in following.items()}
        return counts

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Take the counts that ``state_dict`` gave; the file is not needed."""
        counter = _nltk().NgramCounter()
        for joined, count in state.items():
            _add(counter, joined.split(SEPARATOR), count)
        self._use(counter)

    def _add_ngrams(self, counter: Any) -> None:
        """Count the n-grams of the file along, those of a length together as ``ngrams_number``."""
        assert self.ngrams is not None
        lengths: dict[int, list[tuple[list[str], float]]] = {}
        for text, count in read_ngrams(self.ngrams):
            units = self.split(clean(text, [*(self.clean or []), "whitespace"]))
            if 0 < len(units) <= self.order:
                lengths.setdefault(len(units), []).append((units, count))
        if not lengths:
            raise UserError(f"{self.ngrams}: no n-gram of at most {self.order} words; raise order, or use another file")
        for found in lengths.values():
            share = self.ngrams_number / sum(count for _, count in found)
            for units, count in found:
                _add(counter, units, count * share)
        for word in {word for found in lengths.values() for units, _ in found for word in units}:
            counter.unigrams.setdefault(word, 1)

    def _sentences(self, path: str, limit: int | None = None) -> list[list[str]]:
        """The texts of a file, cleaned, in units."""
        steps = [*(self.clean or []), "whitespace"]
        found = [self.split(clean(text, steps)) for _, text in read_texts(path, limit=limit)]
        return [sentence for sentence in found if sentence]

    def _use(self, counter: Any) -> None:
        self._counter = counter
        self._model = _smoothed(counter, self.order)
        self._known = {}
        self._beginnings = _beginnings(counter.unigrams) if self.unit == "word" else {}
        self._letters: Any = None
        if self.spelling:
            words = [list(word) for word in counter.unigrams if word not in (START, END, UNSEEN)]
            self._letters = _smoothed(_count(words, self.spelling), self.spelling)

    def _spell(self, symbols: list[str]) -> float:
        """Natural log of the probability of letters, and of the end where it is among them; 0 without a spelling."""
        if self._letters is None:
            return 0.0
        letters = [START] * (self.spelling - 1) + symbols
        return sum(
            math.log(self._letters.score(letters[i], tuple(letters[i + 1 - self.spelling : i])))
            for i in range(self.spelling - 1, len(letters))
        )


def _add(counter: Any, ngram: Sequence[str], count: float) -> None:
    *context, unit = ngram
    following = counter[len(ngram)][tuple(context)] if context else counter.unigrams
    following[unit] += count


def _beginnings(words: Mapping[str, float]) -> dict[str, float]:
    """How often a word came that begins so, for each beginning of a word; of the empty one, how many came."""
    counts: dict[str, float] = {"": 0}
    for word, count in words.items():
        if word in (START, END):
            continue
        letters = "" if word == UNSEEN else word
        for stop in range(len(letters) + 1):
            counts[letters[:stop]] = counts.get(letters[:stop], 0) + count
    return counts


def _count(sentences: list[list[str]], order: int) -> Any:
    """All n-grams up to ``order``, with their ends; what was never seen as if it came once."""
    lm = _nltk()
    ngrams, _ = lm.preprocessing.padded_everygram_pipeline(order, sentences)
    counter = lm.NgramCounter(ngrams)
    counter.unigrams[UNSEEN] += 1
    return counter


def _smoothed(counter: Any, order: int) -> Any:
    lm = _nltk()
    return lm.WittenBellInterpolated(order, vocabulary=lm.Vocabulary(counter.unigrams.keys()), counter=counter)


def _nltk() -> Any:
    try:
        import nltk.lm
        import nltk.lm.preprocessing
    except ImportError:
        raise UserError("a language model needs nltk: pip install mmtasks[speech]") from None
    return nltk.lm
