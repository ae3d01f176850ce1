"""An n-gram model of words in a file of another toolkit, asked through pocketsphinx."""

import math
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmtasks.configured import Configured
from mmtasks.data.texts import locate
from mmtasks.errors import UserError

BASE = math.log(1.0001)  # pocketsphinx answers in logarithms of this base
START = "<s>"
NEVER = -100.0  # natural log: no word that a file knows is as improbable


class NGramFile(Configured):
    """Probability of a word after the ones before it, by a model that another toolkit has trained.

    ARPA files, which SRILM, KenLM and others write, and the binary ones of CMU Sphinx; both as the toolkit smoothed
    them (Katz back-off). Needs pocketsphinx.

    Args:
        path: environment variables are filled in; ``package:NAME/FILE`` is a file inside an installed package.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._data = b""
        self._model: Any = None

    def fit(self) -> None:
        """Read the file.

        Raises:
            UserError: there is none, it is no such model, or pocketsphinx is not installed.
        """
        file = locate(self.path)
        try:
            data = file.read_bytes()
        except OSError:
            raise UserError(f"{file}: cannot be read; check the path of the language model") from None
        self._use(data)

    @property
    def order(self) -> int:
        """3 for a model of three words."""
        order: int = self._opened().size()
        return order

    def score(self, word: str, context: tuple[str, ...]) -> float:
        """Natural log of the word's probability after the context, the last word last; -100 for what it cannot know.

        ``<s>`` begins a text, ``</s>`` ends one.
        """
        begins = max((i for i, before in enumerate(context) if before == START), default=0)
        found: int = self._opened().prob([word, *reversed(context[begins:])])
        return max(found * BASE, NEVER)

    def state_dict(self) -> dict[str, Tensor]:
        """The file itself, as bytes."""
        return {"file": torch.frombuffer(bytearray(self._data), dtype=torch.uint8)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take what ``state_dict`` gave; the file is not needed."""
        self._use(state["file"].numpy().tobytes())

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_model": None}

    def _use(self, data: bytes) -> None:
        self._data, self._model = data, None
        self._opened()

    def _opened(self) -> Any:
        if self._model is None:
            self._model = _open(self._data, self.path)
        return self._model


def _open(data: bytes, path: str) -> Any:
    """pocketsphinx reads files only; the copy has no name that a checkpoint could choose."""
    try:
        from pocketsphinx import NGramModel
    except ImportError:
        raise UserError("a language model's file needs pocketsphinx: pip install mmtasks[speech]") from None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "model")
        copy.write_bytes(data)
        try:
            return NGramModel.readfile(str(copy))
        except ValueError:
            raise UserError(f"{path}: no n-gram model; give an ARPA file, or a binary one of CMU Sphinx") from None
