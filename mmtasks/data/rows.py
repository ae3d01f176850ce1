"""What every source of images with captions gives."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image


@dataclass(frozen=True)
class ImageTextRow:
    """One picture with its captions.

    ``load`` opens the picture when called; ``where`` names the row in messages, as "file.jsonl:12"; ``label`` is the
    relation between caption and image, where a task has one; ``key`` tells pictures apart by their content, where that
    was asked for.
    """

    id: str
    captions: list[str]
    load: Callable[[], Image.Image]
    where: str
    label: int | None = None
    key: str = ""


class ImageTextSource(Sequence[ImageTextRow]):
    """A sequence of rows.

    ``problems`` lists rows that were left out, one line each; ``on_disk`` says that pictures are files that may be
    broken.
    """

    problems: tuple[str, ...] | list[str] = ()
    on_disk: bool = False

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Any) -> Any: ...
