"""An n-gram language model, trained by nltk."""

import math
from pathlib import Path
from typing import Any

from mmtasks.data.clean import check_steps, clean
from mmtasks.data.manifest import expand, read_text
from mmtasks.errors import UserError

UNITS = ("word", "character")
START, END, UNSEEN = "<s>", "</s>", "<UNK>"
SEPARATOR = "\0"


class NGram:
    """Probability of a word or character after the ones before it, by interpolated Witten-Bell smoothing.

    What was never seen counts as one unit that came once. Needs the extra ``speech``.

    Args:
        path: UTF-8 text, a sentence a line.
        order: 3 for the two units before.
        unit: ``word`` or ``character``.
        clean: cleaning steps of the lines, those of the transcripts; None for none but whitespace.
    """

    def __init__(self, path: str, *, order: int = 3, unit: str = "word", clean: list[str] | None = None) -> None:
        if order < 1:
            raise ValueError(f"order {order} must be at least 1")
        if unit not in UNITS:
            raise ValueError(f"unit {unit!r} is none of {', '.join(UNITS)}")
        check_steps(clean or [])
        self.path = path
        self.order = order
        self.unit = unit
        self.clean = clean
        self._known: dict[tuple[str, tuple[str, ...]], float] = {}

    def fit(self) -> None:
        """Count the n-grams of the file.

        Raises:
            UserError: the file cannot be read or holds no text, or nltk is not installed.
        """
        lm = _nltk()
        lines = read_text(Path(expand(self.path))).splitlines()
        sentences = [self.split(clean(line, [*(self.clean or []), "whitespace"])) for line in lines]
        sentences = [sentence for sentence in sentences if sentence]
        if not sentences:
            raise UserError(f"{self.path}: holds no text for the language model; write a sentence a line")
        ngrams, _ = lm.preprocessing.padded_everygram_pipeline(self.order, sentences)
        counter = lm.NgramCounter(ngrams)
        counter.unigrams[UNSEEN] += 1
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
            self._known[key] = math.log(self._model.score(unit, context))
        return self._known[key]

    def state_dict(self) -> dict[str, int]:
        """How often each n-gram came, as plain values."""
        counts = {unit: count for unit, count in self._counter.unigrams.items()}
        for size in range(2, self.order + 1):
            for context, following in self._counter[size].items():
                counts |= {SEPARATOR.join([*context, unit]): count for unit, count in following.items()}
        return counts

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Take the counts that ``state_dict`` gave; the file is not needed."""
        counter = _nltk().NgramCounter()
        for joined, count in state.items():
            *context, unit = joined.split(SEPARATOR)
            following = counter[len(context) + 1][tuple(context)] if context else counter.unigrams
            following[unit] += count
        self._use(counter)

    def _use(self, counter: Any) -> None:
        lm = _nltk()
        self._counter = counter
        vocabulary = lm.Vocabulary(dict(counter.unigrams))
        self._model = lm.WittenBellInterpolated(self.order, vocabulary=vocabulary, counter=counter)
        self._known = {}


def _nltk() -> Any:
    try:
        import nltk.lm
        import nltk.lm.preprocessing
    except ImportError:
        raise UserError("a language model needs nltk: pip install mmtasks[speech]") from None
    return nltk.lm
