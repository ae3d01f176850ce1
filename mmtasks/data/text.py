"""Captions to tensors of token ids."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.clean import check_steps
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.errors import UserError

DEFAULT_CLEAN = ("nfkc", "whitespace", "lowercase", "dedupe")


class TextProcessor(Configured):
    """How texts are cleaned and cut into tokens.

    ``clean`` is what callers apply to a text before they hand it over, see ``mmtasks.data.clean``.

    Args:
        tokenizer: makes the ids.
        clean: names of cleaning steps; None for ``[nfkc, whitespace, lowercase, dedupe]``.
        max_length: the most tokens of a text, special ones included.

    >>> from mmtasks.data.tokenizer import WordTokenizer
    >>> process = TextProcessor(WordTokenizer())
    >>> process.fit(["a red dog", "a cat"])
    >>> process("a red cat").shape
    torch.Size([3])
    """

    def __init__(self, tokenizer: Tokenizer, *, clean: list[str] | None = None, max_length: int = 32) -> None:
        if max_length < 1:
            raise ValueError(f"max_length {max_length} must be at least 1")
        self.tokenizer = tokenizer
        self.clean = list(DEFAULT_CLEAN if clean is None else clean)
        self.max_length = max_length
        check_steps(self.clean)

    def fit(self, texts: Iterable[str]) -> None:
        """Fit the tokenizer on cleaned training texts."""
        self.tokenizer.fit(texts)

    def __call__(self, text: str) -> Tensor:
        """A cleaned text -> ids (L,) long, L at most ``max_length``.

        Raises:
            UserError: the text is empty.
        """
        ids = self.tokenizer.encode(text, max_length=self.max_length) if text.strip() else []
        if not ids:
            raise UserError(f"the text {text!r} has no words left after cleaning ({', '.join(self.clean)}): write one")
        return torch.tensor(ids, dtype=torch.long)

    def tokens(self, text: str) -> list[str]:
        """What each id stands for that a call with the same text gives."""
        return self.tokenizer.tokens(text, max_length=self.max_length)

    def facts(self) -> dict[str, Any]:
        """What a text encoder must know: ``vocab_size``, ``pad_id``, ``max_length``."""
        tokenizer = self.tokenizer
        return {"vocab_size": tokenizer.vocab_size, "pad_id": tokenizer.pad_id, "max_length": self.max_length}

    def state_dict(self) -> dict[str, Any]:
        """The tokenizer's vocabulary, as plain values."""
        return self.tokenizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take the vocabulary that ``state_dict`` gave."""
        self.tokenizer.load_state_dict(state)
