"""Films as rows to summarize."""

import random
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmtasks.data.films.render import render
from mmtasks.data.films.sound import render_sound
from mmtasks.data.films.titles import draw_title
from mmtasks.data.films.viewers import draw_viewers, ratings, truth
from mmtasks.data.films.world import FPS, Film, draw_film
from mmtasks.data.scenes.splits import SPLITS, check_choice
from mmtasks.data.summary_rows import SummaryRow, SummarySource
from mmtasks.data.video_sound import SoundProcessor
from mmtasks.types import Annotation

TITLES = ("right", "swapped", "none")


class Films(SummarySource):
    """Films of moving shapes, each in two rows that follow each other: the same pixels, another title, another truth.

    Titles ask for opposite kinds of events, and viewers rate in opposite ways: whatever does not read the title has a
    mean τ of 0 over a film's two rows. Splits share no combination of colours and shapes, and test has titles of its
    own. Films are drawn and rendered anew at each call, unless they are kept.

    Args:
        split: ``train``, ``val`` or ``test``.
        number: films, half the number of rows.
        size: pixels a side, at least 16.
        seed: of films, titles and viewers.
        viewers: people who rate, the same ones for all films.
        titles: ``right``; ``swapped``, each row with its partner's; ``none``, all empty. The last two are for
            evaluation: how much does a model read the title?
        sound: what is made of the films' sound; None for silent films.
        keep: hold each film's pixels in memory once it was rendered, a byte for each colour of a pixel: size 32 takes
            290 kB a film. Every process that loads films holds its own.

    >>> films = Films("test", number=2)
    >>> films[1].title, films[1].id
    ('colour changes', 'test-0-0-b')
    >>> films[1].load().shape
    torch.Size([93, 3, 48, 48])
    """

    def __init__(
        self,
        split: str = "train",
        *,
        number: int = 200,
        size: int = 48,
        seed: int = 0,
        viewers: int = 5,
        titles: str = "right",
        sound: SoundProcessor | None = None,
        keep: bool = False,
    ) -> None:
        check_choice("split", split, SPLITS)
        check_choice("titles", titles, TITLES)
        if number < 1:
            raise ValueError(f"number must be at least 1, got {number}")
        if size < 16:
            raise ValueError(f"size must be at least 16, got {size}")
        self.split = split
        self.number = number
        self.size = size
        self.seed = seed
        self.viewers = viewers
        self.titles = titles
        self.sound = sound
        self.keep = keep
        self._kept: dict[int, Tensor] = {}
        self._panel = draw_viewers(viewers, random.Random(f"viewers {seed}"))

    def __len__(self) -> int:
        return 2 * self.number

    def __getitem__(self, index: Any) -> Any:
        """Row ``index``, or a list of rows for a slice; rows 2i and 2i + 1 show ``film(i)``."""
        chosen = range(len(self))[index]
        return [self._at(i) for i in chosen] if isinstance(chosen, range) else self._at(chosen)

    def film(self, i: int) -> Film:
        """What happens in film ``i``."""
        return draw_film(self.split, self._random("film", i))

    def _random(self, what: str, i: int) -> random.Random:
        return random.Random(f"films {what} {self.split} {self.seed} {i}")

    def _at(self, row: int) -> SummaryRow:
        i, title = divmod(row, 2)
        film = self.film(i)
        rng = self._random("titles", i)
        said = [draw_title(kind, self.split, rng) for kind in film.named]
        shown = {"right": said[title], "swapped": said[1 - title], "none": ""}[self.titles]
        annotation = Annotation(
            picks=np.arange(film.n_frames),
            n_frames=film.n_frames,
            fps=FPS,
            change_points=np.array([(shot.first, shot.last) for shot in film.shots]),
            user_scores=ratings(film, title, self._panel, self._random("ratings", i).getrandbits(32)),
        )
        hearing = self._random("hearing", i).getrandbits(32)
        return SummaryRow(
            id=f"{self.split}-{self.seed}-{i}-{'ab'[title]}",
            where=f"films-{self.split}:{row + 1}",
            load=partial(self._load, i),
            annotation=annotation,
            title=shown,
            target=truth(film, title),
            sound=None if self.sound is None else partial(_listen, self.sound, film, hearing),
        )

    def _load(self, i: int) -> Tensor:
        """(T, 3, size, size) of film ``i``; all 8 bits of a colour survive being kept."""
        if i in self._kept:
            return self._kept[i].float().div_(255)
        frames = render(self.film(i), size=self.size, seed=self._random("drawing", i).getrandbits(32))
        if self.keep:
            self._kept[i] = (frames * 255).round().to(torch.uint8)
        return frames

    def __getstate__(self) -> dict[str, Any]:
        """All but the pixels."""
        return {**self.__dict__, "_kept": {}}


def _listen(process: SoundProcessor, film: Film, seed: int) -> Tensor:
    """(T, D): the sound around each frame."""
    samples = render_sound(film, rate=process.rate, seed=seed)
    return process.around([samples], np.arange(film.n_frames) / FPS)
