"""The datamodule of videos to summarize."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.config import describe
from mmtasks.data.base import TaskData, Texts, check_options
from mmtasks.data.clean import clean_captions
from mmtasks.data.sampler import EpochSampler
from mmtasks.data.summary_dataset import Collate, SummaryDataset
from mmtasks.data.summary_rows import SummaryRow, SummarySource
from mmtasks.data.text import TextProcessor
from mmtasks.data.usable import leave_out, once_each
from mmtasks.data.video_features import VideoProcessor
from mmtasks.errors import UserError
from mmtasks.types import Facts


class SummaryDataModule(TaskData):
    """Sources of videos with what people said of them, in batches.

    Args:
        train: videos to learn from; features are normalised by theirs.
        val: videos to choose by.
        test: videos to report on.
        text: cleaning and tokenizer of titles and queries; None where the model reads none.
        video: how a file becomes the steps that the sources give, for videos to come; None if the sources know.
        titles: give the titles; without, the text stream is empty.
        sound: give what is heard around each step as the modality ``sound``, absent where a video is silent.
        shuffle_steps: break the order of each video's steps, in training and evaluation.
        batch_size: videos a step and process.
        eval_batch_size: videos a step in evaluation.
        num_workers: processes that prepare samples.
        group: neighbouring training rows that stay in one batch, for sources that bring pairs.
        max_bad_fraction: the share of unusable rows that is left out before the run stops.
        seed: of order.
    """

    def __init__(
        self,
        train: SummarySource,
        val: SummarySource,
        *,
        test: SummarySource | None = None,
        text: TextProcessor | None = None,
        video: VideoProcessor | None = None,
        titles: bool = True,
        sound: bool = False,
        shuffle_steps: bool = False,
        batch_size: int = 4,
        eval_batch_size: int = 4,
        num_workers: int = 0,
        group: int = 1,
        max_bad_fraction: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_options(
            num_workers=num_workers,
            max_bad_fraction=max_bad_fraction,
            batch_size=batch_size,
            eval_batch_size=eval_batch_size,
            group=group,
        )
        self.sources = {"train": train, "val": val, "test": test if test is not None else val}
        self.text = text
        self.video = video
        self.titles = titles
        self.sound = sound
        self.shuffle_steps = shuffle_steps
        self.batch_size = batch_size
        self.eval_batch_size = eval_batch_size
        self.num_workers = num_workers
        self.group = group
        self.max_bad_fraction = max_bad_fraction
        self.seed = seed
        self.datasets: dict[str, SummaryDataset] = {}
        self.statistics: dict[str, Any] = {}

    def setup(self, stage: str | None = None) -> None:
        """Leave out unusable rows; fit tokenizer and statistics of features on the training videos.

        Raises:
            UserError: too many rows are unusable, or a video is in both training and a test that is not validation.
        """
        if self.datasets:
            return
        rows = once_each(self.sources, self._usable)
        if self.sources["test"] is not self.sources["val"]:
            _check_apart(rows["train"], rows["test"])
        if self.text is not None:
            self.text.fit(_titles(rows["train"], self.text))
        for name, usable in rows.items():
            self.datasets[name] = SummaryDataset(
                usable, self.text, titles=self.titles, shuffle_steps=self.shuffle_steps, sound=self.sound
            )
        self.statistics = {"video": _statistics(row.load for row in rows["train"])}
        if self.sound:
            self.statistics["sound"] = self._sound_statistics(rows["train"])
        if pace := _pace(rows["train"]):
            self.statistics = {name: {**known, "token_seconds": pace} for name, known in self.statistics.items()}

    def facts(self) -> Facts:
        """What the model must know before its weights exist."""
        text = {} if self.text is None else {"text": self.text.facts()}
        return {**self.statistics, **text}

    def describe_processors(self) -> dict[str, Any]:
        """The preparation of each modality as plain values, for the checkpoint."""
        processors: dict[str, Any] = {}
        video = describe(self.video) if self.video is not None else getattr(self.sources["train"], "processor", None)
        if video is not None:
            processors["video"] = {"config": video, "state": {}}
        if self.text is not None:
            processors["text"] = {"config": describe(self.text), "state": self.text.state_dict()}
        return processors

    def texts(self) -> dict[str, Texts]:
        """All titles of training."""
        return {} if self.text is None else {"text": (self.text, _titles(self.datasets["train"].rows, self.text))}

    def _usable(self, source: SummarySource) -> list[SummaryRow]:
        return leave_out(list(source), source.problems, self.max_bad_fraction)

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        """Batches of videos."""
        dataset = self.datasets[name]
        world, rank = self.processes()
        sampler = EpochSampler(
            len(dataset), shuffle=shuffle, seed=self.seed, rank=rank, world_size=world, group=self.group
        )
        return StatefulDataLoader(
            dataset,
            batch_size=self.batch_size if shuffle else self.eval_batch_size,
            sampler=sampler,
            num_workers=self.num_workers,
            persistent_workers=shuffle and self.num_workers > 0,
            collate_fn=Collate(
                0 if self.text is None else self.text.facts()["pad_id"],
                sound_width=self.statistics["sound"]["width"] if self.sound else None,
            ),
        )

    def _sound_statistics(self, rows: Sequence[SummaryRow]) -> dict[str, Any]:
        heard = [row.sound for row in rows if row.sound is not None]
        if not heard:
            raise UserError(
                f"{rows[0].where}: neither this training video nor another has sound; "
                "make it with `mmtasks prepare video --sound`, or set sound to false"
            )
        return _statistics(heard)


def _check_apart(train: Sequence[SummaryRow], test: Sequence[SummaryRow]) -> None:
    """Nothing that was learned from is tested on."""
    learned = {(row.where, row.annotation.n_frames) for row in train}
    shared = [row.where for row in test if (row.where, row.annotation.n_frames) in learned]
    if shared:
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise UserError(f"{shared[0]}{more}: both in train and in test; give them one fold, or other files")


def _titles(rows: Sequence[SummaryRow], text: TextProcessor) -> list[str]:
    return [title for row in rows for title in clean_captions([row.title], text.clean)]


def _pace(rows: Sequence[SummaryRow]) -> float | None:
    """Seconds from one step to the next, as in most videos; None where no frame rate is known."""
    paces = [
        float(np.median(np.diff(row.annotation.picks))) / row.annotation.fps
        for row in rows
        if row.annotation.fps > 0 and len(row.annotation.picks) > 1
    ]
    return float(np.median(paces)) if paces else None


def _statistics(loads: Iterable[Callable[[], Tensor]]) -> dict[str, Any]:
    """Width, mean, deviation and places of the features over all steps of the videos; nothing for pixels."""
    count, places, total, squares = 0, 1, torch.zeros(1).double(), torch.zeros(1).double()
    for load in loads:
        steps = load()
        if steps.ndim == 4:
            return {}
        places = steps[0].numel() // steps.shape[-1]
        steps = steps.flatten(0, -2).double()
        count, total, squares = count + len(steps), total + steps.sum(dim=0), squares + steps.square().sum(dim=0)
    mean = total / count
    std = (squares / count - mean.square()).clamp(min=1e-8).sqrt()
    found = {"width": len(mean), "mean": mean.float().tolist(), "std": std.float().tolist()}
    return found if places == 1 else found | {"places": places}
