"""Numbers in a text as words, by the package num2words (extra: ``speech``)."""

import re
from collections.abc import Callable

from mmtasks.errors import UserError

ORDINAL = re.compile(r"(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
POINT = ("en", "zh", "ja", "ko", "th", "he")
"""Languages that write a point before decimals and group thousands by commas; the others do the reverse."""


def spell_numbers(text: str, language: str) -> str:
    """Every number written out; without a language as in English.

    Raises:
        UserError: no words for numbers are known in the language, or the package is not installed.

    >>> spell_numbers("1,200 cats on the 3rd", "en")
    'one thousand, two hundred cats on the third'
    """
    code = (language or "en").replace("-", "_")
    spell = _speller(code)
    if code.startswith("en"):
        text = ORDINAL.sub(lambda found: spell(found[1], to="ordinal"), text)
    return NUMBER.sub(lambda found: spell(_plain(found[0], point=code.startswith(POINT))), text)


def _plain(number: str, *, point: bool) -> str:
    """A number with a point before decimals and no other mark."""
    group, decimal = (",", ".") if point else (".", ",")
    whole, _, rest = number.replace(group, "").partition(decimal)
    return f"{whole}.{rest.replace(decimal, '')}" if rest else whole


def _speller(code: str) -> Callable[..., str]:
    try:
        from num2words import CONVERTER_CLASSES, num2words
    except ImportError:
        raise UserError("the cleaning step numbers needs num2words: pip install mmtasks[speech]") from None
    if code not in CONVERTER_CLASSES and code.split("_")[0] not in CONVERTER_CLASSES:
        raise UserError(f"no words for numbers are known in the language {code!r}; leave out the step numbers")
    known = code if code in CONVERTER_CLASSES else code.split("_")[0]
    return lambda number, to="cardinal": str(num2words(number, lang=known, to=to))
