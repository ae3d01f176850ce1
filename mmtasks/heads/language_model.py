"""An n-gram language model, trained by nltk."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from mmtasks.configured import Configured
from mmtasks.data.clean import check_steps, clean
from mmtasks.data.texts import read_texts
from mmtasks.errors import UserError
from mmtasks.heads.ngram_file import NEVER, START, NGramFile

UNITS = ("word", "character")
END, UNSEEN = "</s>", "<UNK>"
SEPARATOR = "\0"
REMEMBERED = 500_000
"""Answers kept, however long a recording is."""


class NGram(Configured):
    """Probability of a word or character after the ones before it, by interpolated Witten-Bell smoothing.

    What was never seen counts as one unit that came once. Needs the extra ``speech``.

    Args:
        path: UTF-8 text, a sentence a line, or a manifest whose texts are read; one path or several.
        order: 3 for the two units before.
        unit: ``word`` or ``character``.
        clean: cleaning steps of the lines, those of the transcripts; None for none but whitespace.
        vocabulary: further words, each as if it came once, alone; what ``read_texts`` reads, a word a text.
        vocabulary_size: the most of them, from the first.
        background: a model of general language; each probability is a mean of its answer and of this model's. It may
            look further back.
        background_share: its weight in that mean; above 0 and below 1.
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
        background: NGramFile | None = None,
        background_share: float = 0.5,
        spelling: int = 0,
    ) -> None:
        if order < 1:
            raise ValueError(f"order {order} must be at least 1")
        if unit not in UNITS:
            raise ValueError(f"unit {unit!r} is none of {', '.join(UNITS)}")
        if spelling < 0:
            raise ValueError(f"spelling {spelling} must be at least 0")
        if unit != "word" and (spelling or vocabulary or background):
            raise ValueError(f"vocabulary, background and spelling are of a model of words; unit is {unit!r}")
        if not 0 < background_share < 1:
            raise ValueError(f"background_share {background_share} must be above 0 and below 1")
        check_steps(clean or [])
        self.path = path
        self.order = order
        self.unit = unit
        self.clean = clean
        self.vocabulary = vocabulary
        self.vocabulary_size = vocabulary_size
        self.background = background
        self.background_share = background_share
        self.spelling = spelling
        self._known: dict[tuple[str, tuple[str, ...]], float] = {}

    def fit(self) -> None:
        """Count the n-grams of the files, and read the background model.

        Raises:
            UserError: a file cannot be read or holds no text, or nltk or pocketsphinx is needed and not installed.
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
        if self.background is not None:
            self.background.fit()
        self._use(counter)

    def split(self, text: str) -> list[str]:
        """A text in units."""
        return text.split() if self.unit == "word" else list(text)

    @property
    def start(self) -> tuple[str, ...]:
        """The context in which a text begins."""
        return (START,) * self._memory

    def after(self, context: tuple[str, ...], unit: str) -> tuple[str, ...]:
        """The context of the next unit."""
        return (*context, unit)[len(context) + 1 - self._memory :]

    def score(self, unit: str, context: tuple[str, ...]) -> float:
        """Natural log of the unit's probability after the context; ``</s>`` is the end of the text."""
        key = (unit, context)
        known = self._known.get(key)  # read once: another thread may clear them
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            known = self._known[key] = self._mixed(unit, context)
        return known

    def alone(self, words: Iterable[str]) -> dict[str, float]:
        """Natural log of the share of text that each of the words is, of those that were seen; not smoothed."""
        counts, total = self._counter.unigrams, self._counter.unigrams.N()
        share = self.background_share if self.background else 0.0
        found = {}
        for word in words:
            general = self.background.score(word, ()) if self.background else NEVER
            if counts[word] or general > NEVER:
                found[word] = math.log((1 - share) * counts[word] / total + share * math.exp(general))
        return found

    def beginning(self, letters: str) -> float:
        """Natural log of the probability that a word begins with these letters, whatever comes before it."""
        count = self._beginnings.get(letters, 0)
        if count:
            return math.log(count / self._beginnings[""])
        return math.log(1 / self._beginnings[""]) + self._spell([*letters])

    def state_dict(self) -> dict[str, Any]:
        """How often each n-gram came, and the background model, as plain values."""
        counts = {unit: count for unit, count in self._counter.unigrams.items()}
        for size in range(2, self.order + 1):
            for context, following in self._counter[size].items():
                counts |= {SEPARATOR.join([*context, unit]): count for unit, count in following.items()}
        return {"counts": counts} | ({"background": self.background.state_dict()} if self.background else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take what ``state_dict`` gave; no file is needed."""
        counter = _nltk().NgramCounter()
        for joined, count in state["counts"].items():
            *context, unit = joined.split(SEPARATOR)
            following = counter[len(context) + 1][tuple(context)] if context else counter.unigrams
            following[unit] = count
        if self.background is not None:
            self.background.load_state_dict(state["background"])
        self._use(counter)

    def _sentences(self, path: str, limit: int | None = None) -> list[list[str]]:
        """The texts of a file, cleaned, in units."""
        steps = [*(self.clean or []), "whitespace"]
        found = [self.split(clean(text, steps)) for _, text in read_texts(path, limit=limit)]
        return [sentence for sentence in found if sentence]

    def _use(self, counter: Any) -> None:
        self._counter = counter
        self._model = _smoothed(counter, self.order)
        self._memory = max(self.order, self.background.order if self.background else 0) - 1
        self._known = {}
        self._beginnings = _beginnings(counter.unigrams) if self.unit == "word" else {}
        self._letters: Any = None
        if self.spelling:
            words = [list(word) for word in counter.unigrams if word not in (START, END, UNSEEN)]
            self._letters = _smoothed(_count(words, self.spelling), self.spelling)

    def _mixed(self, unit: str, context: tuple[str, ...]) -> float:
        """Natural log of the probability by this model and the one in the background."""
        own = self._own(unit, context[len(context) + 1 - self.order :])
        if self.background is None:
            return own
        share, general = self.background_share, self.background.score(unit, context)
        return math.log((1 - share) * math.exp(own) + share * math.exp(general))

    def _own(self, unit: str, context: tuple[str, ...]) -> float:
        unknown = self._letters is not None and unit not in self._model.vocab
        spelled = self._spell([*unit, END]) if unknown else 0.0
        return math.log(self._model.score(unit, context)) + spelled

    def _spell(self, symbols: list[str]) -> float:
        """Natural log of the probability of letters, and of the end where it is among them; 0 without a spelling."""
        if self._letters is None:
            return 0.0
        letters = [START] * (self.spelling - 1) + symbols
        return sum(
            math.log(self._letters.score(letters[i], tuple(letters[i + 1 - self.spelling : i])))
            for i in range(self.spelling - 1, len(letters))
        )


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
