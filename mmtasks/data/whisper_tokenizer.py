"""The vocabularies of OpenAI's Whisper, from the files of its package."""

import base64
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from mmtasks.data.packaged import packaged_file
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.errors import UserError

PACKAGE = "openai-whisper==20250625"
LANGUAGES = (
    "en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur hr bg lt "
    "la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si km sn yo so af oc "
    "ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha ba jw su"
)
"""In the order of their ids (Radford et al. 2022), without Cantonese, which large-v3 added."""
TIMES = 1501
"""Symbols for a time, every 0.02 s up to 30 s."""


class WhisperTokenizer(Tokenizer):
    """Byte-level byte pairs of GPT-2 (English models) or of the multilingual models, with Whisper's special symbols.

    Texts begin with a space, as those that Whisper learned from.

    Args:
        multilingual: the vocabulary of the models without ``.en`` in their name.
    """

    def __init__(self, *, multilingual: bool = False) -> None:
        self.multilingual = multilingual

    def fit(self, texts: object) -> None:
        """Read the vocabulary; the texts change nothing.

        Raises:
            UserError: the package is not installed.
        """
        ranks = _ranks("multilingual" if self.multilingual else "gpt2")
        tokenizer = from_ranks(ranks)
        tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in _special()])
        self.use(tokenizer, len(ranks))  # "<|endoftext|>", the first special symbol


def from_ranks(ranks: dict[bytes, int]) -> tokenizers.Tokenizer:
    """Byte sequences with the order in which they were learned -> a byte-pair tokenizer with the same ids.

    >>> ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256, b"abc": 257}
    >>> from_ranks(ranks).encode("abca").ids
    [32, 257, 97]
    """
    letters = _letters()

    def spell(token: bytes) -> str:
        return "".join(letters[byte] for byte in token)

    merges = [
        _parts(token, rank, ranks) for token, rank in sorted(ranks.items(), key=lambda item: item[1]) if len(token) > 1
    ]
    vocabulary = {spell(token): rank for token, rank in ranks.items()}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, [(spell(left), spell(right)) for left, right in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _parts(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two sequences that were joined to this one: what its bytes become by all joins learned before."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        joins = [(ranks.get(parts[i] + parts[i + 1], rank), i) for i in range(len(parts) - 1)]
        learned, i = min(joins)
        if learned >= rank:
            break
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    if len(parts) != 2:
        raise UserError(f"the vocabulary has {token!r}, which no two shorter entries make: install {PACKAGE} again")
    return parts[0], parts[1]


def _letters() -> dict[int, str]:
    """The printable character that stands for each byte in byte-level vocabularies (Radford et al. 2019)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def whisper_file(name: str) -> Path:
    """A file inside OpenAI's package, which is not imported.

    Raises:
        UserError: the package is not installed.
    """
    file = packaged_file("whisper", name)
    if file is None:
        raise UserError(f"no installed package has whisper/{name}: pip install --no-deps {PACKAGE}")
    return file


def _ranks(name: str) -> dict[bytes, int]:
    lines = whisper_file(f"assets/{name}.tiktoken").read_bytes().splitlines()
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in lines if line)}


def _special() -> list[str]:
    """Special symbols in the order of their ids, which follow those of the vocabulary."""
    names = [
        "endoftext",
        "startoftranscript",
        *LANGUAGES.split(),
        "translate",
        "transcribe",
        "startoflm",
        "startofprev",
    ]
    names += ["nospeech", "notimestamps", *(f"{0.02 * i:.2f}" for i in range(TIMES))]
    return [f"<|{name}|>" for name in names]
