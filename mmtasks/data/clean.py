"""Named steps that clean captions and transcripts."""

import re
import unicodedata
from collections.abc import Callable, Sequence

from mmtasks.data.numbers import spell_numbers

DEDUPE = "dedupe"
DOTLESS = ("tr", "az")
APOSTROPHE = "\N{MODIFIER LETTER APOSTROPHE}"  # a letter to Unicode, no punctuation


def nfkc(text: str) -> str:
    """One way to write each character (Unicode NFKC): ligatures, full-width letters, combining accents."""
    return unicodedata.normalize("NFKC", text)


def whitespace(text: str) -> str:
    """Single spaces between words, none at the ends."""
    return " ".join(text.split())


def lowercase(text: str, language: str = "") -> str:
    """Small letters; of Turkish and Azerbaijani those that have i with and without a dot."""
    if re.split("[-_]", language.lower())[0] in DOTLESS:
        text = text.replace("İ", "i").replace("I", "ı")
    return text.lower()


def strip_punctuation(text: str) -> str:
    """No punctuation of any script; apostrophes vanish, other marks part words."""
    text = re.sub(r"(?<=\w)['’](?=\w)", "", text)
    return whitespace("".join(" " if unicodedata.category(c).startswith("P") else c for c in text))


def strip_marks(text: str) -> str:
    """No punctuation of any script but the apostrophes within words, ``'`` for each of them; marks part words."""
    text = re.sub(r"(?<=\w)['’](?=\w)", APOSTROPHE, text)
    return strip_punctuation(text).replace(APOSTROPHE, "'")


TEXT_STEPS: dict[str, Callable[[str], str]] = {
    "nfkc": nfkc,
    "whitespace": whitespace,
    "strip_punctuation": strip_punctuation,
    "strip_marks": strip_marks,
}


LANGUAGE_STEPS: dict[str, Callable[[str, str], str]] = {"lowercase": lowercase, "numbers": spell_numbers}


def check_steps(steps: Sequence[str]) -> None:
    """Raise ValueError for a step that does not exist."""
    for step in steps:
        if step not in (*TEXT_STEPS, *LANGUAGE_STEPS, DEDUPE):
            raise ValueError(f"clean step {step!r} is none of {[*TEXT_STEPS, *LANGUAGE_STEPS, DEDUPE]}")


def clean(text: str, steps: Sequence[str], language: str = "") -> str:
    """The text after the named steps, in order. ``dedupe`` has nothing to do for a single text.

    ``language`` is a code such as ``en`` or ``de-CH``, which the steps ``numbers`` and ``lowercase`` go by.

    Raises:
        ValueError: an unknown step.
        UserError: a step that does not know the language.
    """
    check_steps(steps)
    for step in steps:
        if step in LANGUAGE_STEPS:
            text = LANGUAGE_STEPS[step](text, language)
        elif step != DEDUPE:
            text = TEXT_STEPS[step](text)
    return text


def clean_captions(captions: Sequence[str], steps: Sequence[str]) -> list[str]:
    """Each caption cleaned; those with nothing left go, and with ``dedupe`` those that came before.

    Raises:
        ValueError: an unknown step.
    """
    cleaned = [text for text in (clean(caption, steps) for caption in captions) if text.strip()]
    return list(dict.fromkeys(cleaned)) if DEDUPE in steps else cleaned
