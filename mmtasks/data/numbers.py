"""Numbers in a text as words, by the package num2words (extra: ``speech``)."""

import re
from collections.abc import Callable
from functools import cache, partial

from mmtasks.errors import UserError

ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
POINT = ("en", "zh", "ja", "ko", "th", "he")
"""Languages that write a point before decimals and group thousands by commas; the others do the reverse."""
GLUED = ("zh", "ja", "ko", "th")
"""Languages that write no space between a number and the letters beside it."""
MOST_DIGITS, FEWER_DIGITS = 15, {"am": 6}
"""Longer whole numbers are read digit by digit; in Amharic num2words never ends on longer ones."""


def spell_numbers(text: str, language: str) -> str:
    """Every number written out, apart from letters beside it; without a language as in English.

    Raises:
        UserError: no words for numbers are known in the language, or for one of these numbers; or the package is not
            installed.

    >>> spell_numbers("1,200 cats on the 3rd", "en")
    'one thousand, two hundred cats on the third'
    >>> spell_numbers("5kg of mp3", "en")
    'five kg of mp three'
    """
    code = (language or "en").replace("-", "_")
    spell = _speller(code)
    most = FEWER_DIGITS.get(code.split("_")[0], MOST_DIGITS)

    def cardinal(found: re.Match[str]) -> str:
        number = _plain(found[0], point=code.startswith(POINT))
        if len(number.partition(".")[0]) > most:
            return " ".join(spell(digit) for digit in number if digit != ".")
        return spell(number)

    def apart(say: Callable[[re.Match[str]], str], found: re.Match[str]) -> str:
        if code.startswith(GLUED):
            return say(found)
        before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
        return " " * before.isalpha() + say(found) + " " * after.isalpha()

    if code.startswith("en"):
        text = ORDINAL.sub(partial(apart, lambda found: spell(found[1], to="ordinal")), text)
    return NUMBER.sub(partial(apart, cardinal), text)


def _plain(number: str, *, point: bool) -> str:
    """A number with a point before decimals and no other mark."""
    group, decimal = (",", ".") if point else (".", ",")
    whole, _, rest = number.replace(group, "").partition(decimal)
    return f"{whole}.{rest.replace(decimal, '')}" if rest else whole


@cache
def _speller(code: str) -> Callable[..., str]:
    """What writes a number of a language.

    Raises:
        UserError: the package is not installed, does not know the language, or fails on every number of it.
    """
    try:
        from num2words import CONVERTER_CLASSES, num2words
    except ImportError:
        raise UserError("the cleaning step numbers needs num2words: pip install mmtasks[speech]") from None
    known = code if code in CONVERTER_CLASSES else code.split("_")[0]
    if known not in CONVERTER_CLASSES:
        raise UserError(f"no words for numbers are known in the language {code!r}; leave out the step numbers")

    def spell(number: str, to: str = "cardinal") -> str:
        try:
            return str(num2words(number, lang=known, to=to))
        except Exception as error:  # the library's languages fail in ways of their own
            reason = f"{type(error).__name__}: {str(error)[:80]}"
            raise UserError(
                f"num2words has no words for {number[:20]} in the language {code!r} ({reason}); write it out"
            ) from None

    try:
        spell("3")
    except UserError:
        raise UserError(
            f"num2words fails on every number in the language {code!r}; write them out, leave out the step numbers"
        ) from None
    return spell
