"""The row that every source of captioned pictures gives."""

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True)
class ImageTextRow:
    """One picture and what is said about it. Picklable when ``load`` is (``functools.partial``, not a lambda).

    id: unique within its source; captions: at least one where the source is captioned; load: opens the picture when
    called; where: ``"file.jsonl:12"``, for messages; label: relation between caption and image, where a task has one.
    """

    id: str
    captions: list[str]
    load: Callable[[], Image.Image]
    where: str
    label: int | None = None
