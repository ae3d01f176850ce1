"""Scenes as rows of captioned pictures."""

import random
from functools import partial
from typing import Any

from mmtasks.data.rows import ImageTextRow, ImageTextSource
from mmtasks.data.scenes.grammar import captions as captions_of
from mmtasks.data.scenes.grammar import check_number_of_captions
from mmtasks.data.scenes.pairs import distinct_scenes, twin_pairs
from mmtasks.data.scenes.render import render
from mmtasks.data.scenes.scene import TWINS, Scene, sample_scene, twin
from mmtasks.data.scenes.splits import SPLITS, check_choice

LABELS = ("unrelated", "describes", "swapped")
"""What a caption is to the picture, by the row's label."""


class _Source(ImageTextSource):
    """What both sources share: distinct scenes of a split, one a row, each drawn with its own seed."""

    def __init__(self, split: str, number: int, size: int, seed: int) -> None:
        check_choice("split", split, SPLITS)
        if size < 16:
            raise ValueError(f"size must be at least 16, got {size}")
        self.split = split
        self.number = number
        self.size = size
        self.seed = seed
        self.scenes: list[Scene] = []

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: Any) -> Any:
        """Row ``index``, or a list of rows for a slice; a row's picture shows ``self.scenes`` at the same index."""
        chosen = range(len(self))[index]
        return [self._at(i) for i in chosen] if isinstance(chosen, range) else self._at(chosen)

    def _random(self, name: str, i: int | None = None) -> random.Random:
        return random.Random(f"{name} {self.split} {self.seed} {i}")

    def _row(self, i: int, captions: list[str], drawing: int, label: int | None = None) -> ImageTextRow:
        load = partial(render, self.scenes[i], size=self.size, seed=self._random("drawing", drawing).getrandbits(32))
        return ImageTextRow(f"{self.split}-{self.seed}-{i}", captions, load, f"scenes-{self.split}:{i + 1}", label)

    def _at(self, i: int) -> ImageTextRow:
        raise NotImplementedError(f"{type(self).__name__}._at")


class Scenes(_Source):
    """Distinct scenes of a split with several captions each; no two splits share a combination of colours and shapes.

    number: rows; captions: captions a row, 1 to 16; size: pixels a side; twins: rows 2k and 2k + 1 are a scene and its
    twin, swapped in colours and in places by turns, drawn and described alike (``number`` even then).

    >>> Scenes("test", number=4)[0].load().size
    (64, 64)
    """

    def __init__(
        self,
        split: str = "train",
        *,
        number: int = 200,
        captions: int = 5,
        size: int = 64,
        seed: int = 0,
        twins: bool = False,
    ) -> None:
        super().__init__(split, number, size, seed)
        check_number_of_captions(captions)
        self.captions = captions
        self.twins = twins
        if twins and number % 2:
            raise ValueError(f"number must be even with twins, got {number}")
        rng = self._random("scenes")
        if twins:
            self.scenes = [scene for pair in twin_pairs(number // 2, rng, split) for scene in pair]
        else:
            self.scenes = distinct_scenes(number, rng, split)

    def _at(self, i: int) -> ImageTextRow:
        drawing = i // 2 if self.twins else i
        return self._row(i, captions_of(self.scenes[i], self._random("captions", drawing), self.captions), drawing)


class SceneRelations(_Source):
    """Distinct scenes of a split with one caption each and what that caption is to the picture.

    Labels come in turn: 0 "unrelated", a caption of a scene of other colours or shapes; 1 "describes"; 2 "swapped", the
    caption of a twin, swapped in colours and in places by turns.

    >>> [row.label for row in SceneRelations("test", number=4)]
    [0, 1, 2, 0]
    """

    def __init__(self, split: str = "train", *, number: int = 200, size: int = 64, seed: int = 0) -> None:
        super().__init__(split, number, size, seed)
        self.scenes = distinct_scenes(number, self._random("relations"), split)

    def _at(self, i: int) -> ImageTextRow:
        label = i % len(LABELS)
        rng = self._random("relation captions", i)
        told = self.scenes[i]
        if label == 2:
            told = twin(told, TWINS[i // len(LABELS) % 2])
        while label == 0 and told.signature == self.scenes[i].signature:
            told = sample_scene(rng, self.split)
        return self._row(i, captions_of(told, rng, 1), i, label)
