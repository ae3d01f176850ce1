"""Published normalisers of transcripts, so that word errors are not those of spelling and punctuation."""

import json
from collections.abc import Callable
from functools import cache

from mmtasks.data.whisper_tokenizer import whisper_file

NORMALISERS = ("whisper_english", "whisper_basic")
"""Those of Whisper (Radford et al. 2022, appendix C): for English, and for any language."""


def check_normaliser(name: str | None) -> str | None:
    """The name; ValueError for one that does not exist."""
    if name is not None and name not in NORMALISERS:
        raise ValueError(f"normaliser {name!r} is none of {list(NORMALISERS)}; None leaves texts as they are")
    return name


@cache
def normaliser(name: str | None) -> Callable[[str], str]:
    """The normaliser of that name; None for one that changes nothing.

    The English one reads its table of spellings from OpenAI's package.

    Raises:
        UserError: that package is not installed.
    """
    if check_normaliser(name) is None:
        return str
    from transformers.models.whisper.english_normalizer import BasicTextNormalizer, EnglishTextNormalizer

    if name == "whisper_basic":
        return BasicTextNormalizer()
    return EnglishTextNormalizer(json.loads(whisper_file("normalizers/english.json").read_text(encoding="utf-8")))
