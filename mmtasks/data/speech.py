"""The datamodule of recordings with transcripts."""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_info
from torch import Tensor, nn
from torchdata.stateful_dataloader import StatefulDataLoader

from mmtasks.config import describe
from mmtasks.data.acoustics import Acoustics
from mmtasks.data.audio import AudioProcessor
from mmtasks.data.base import TaskData, Texts, check_options
from mmtasks.data.bucketing import LengthBatches
from mmtasks.data.feature_cache import cached_features
from mmtasks.data.speech_dataset import Collate, SpeechDataset, cache_key, play, played
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.data.speech_usable import alignable, unspellable, usable_utterances, writable
from mmtasks.data.text import TextProcessor
from mmtasks.data.usable import listed, once_each
from mmtasks.data.video_features import VideoProcessor
from mmtasks.encoders.base import Encoder
from mmtasks.errors import UserError
from mmtasks.types import Facts

ENCODED_AT_ONCE = 8
"""Recordings in a batch of a frozen encoder, each of up to 30 s."""


class SpeechDataModule(TaskData):
    """Sources of recordings with transcripts, prepared for training and evaluation, in batches of equal duration.

    Args:
        train: rows to learn from.
        val: rows to choose by.
        test: rows to report on.
        text: cleaning and tokenizer of transcripts; ``max_length`` must hold the longest.
        audio: preparation of recordings.
        video: preparation of the films that rows may have beside their recording, as pixels; gives the batches a stream
            ``video``, empty where there is no film. None for none.
        prompt: cleaning and tokenizer of the prompts that rows may have, texts that say what to expect: names, a topic.
            Gives the batches a stream ``text``, empty where there is none. None for none.
        batch_seconds: the most sound of a step and process, padding included.
        eval_batch_seconds: the same in evaluation.
        max_batch_size: the most utterances of a step and process.
        speeds: of playing, one drawn for each training sample; each a multiple of 0.01.
        augment: noise and reverberation that training adds, drawn anew each time; None for none.
        characters_per_second: the fewest and the most of a transcript; others are left out as misaligned.
        max_seconds: longer utterances are left out.
        num_workers: processes that prepare samples.
        feature_cache: folder for the features of a frozen encoder, of each training recording at each of ``speeds``;
            none means no cache. ``augment`` and ``video`` must be none.
        max_bad_fraction: the share of unusable rows that is left out before the run stops.
        seed: of order and augmentation.
    """

    def __init__(
        self,
        train: SpeechSource,
        val: SpeechSource,
        *,
        text: TextProcessor,
        test: SpeechSource | None = None,
        audio: AudioProcessor | None = None,
        video: VideoProcessor | None = None,
        prompt: TextProcessor | None = None,
        batch_seconds: float = 120.0,
        eval_batch_seconds: float = 240.0,
        max_batch_size: int = 128,
        speeds: Sequence[float] = (1.0,),
        augment: Acoustics | None = None,
        characters_per_second: tuple[float, float] = (1.0, 40.0),
        max_seconds: float = 30.0,
        num_workers: int = 0,
        feature_cache: str | None = None,
        max_bad_fraction: float = 0.01,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_options(
            num_workers=num_workers,
            max_bad_fraction=max_bad_fraction,
            batch_seconds=batch_seconds,
            eval_batch_seconds=eval_batch_seconds,
            max_batch_size=max_batch_size,
            max_seconds=max_seconds,
        )
        if not speeds or min(speeds) <= 0:
            raise ValueError(f"speeds {list(speeds)} must be above 0; 1.0 leaves the recording as it is")
        if feature_cache is not None and augment is not None:
            raise ValueError("feature_cache holds recordings without noise: leave out augment, or feature_cache")
        if feature_cache is not None and video is not None:
            raise ValueError("feature_cache holds recordings without their films: leave out video, or feature_cache")
        if video is not None and (video.clean or video.encoder is not None):
            raise ValueError("video must be every picture beside its sound, as pixels: leave out its clean and encoder")
        self.sources = {"train": train, "val": val, "test": test if test is not None else val}
        self.text = text
        self.audio = audio or AudioProcessor()
        self.video = video
        self.prompt = prompt
        self.batch_seconds = batch_seconds
        self.eval_batch_seconds = eval_batch_seconds
        self.max_batch_size = max_batch_size
        self.speeds = list(speeds)
        self.augment = augment
        self.characters_per_second = characters_per_second
        self.max_seconds = max_seconds
        self.num_workers = num_workers
        self.feature_cache = feature_cache
        self.max_bad_fraction = max_bad_fraction
        self.seed = seed
        self.datasets: dict[str, SpeechDataset] = {}
        self.step: list[int] | None = None
        self._told = False

    def setup(self, stage: str | None = None) -> None:
        """Leave out unusable rows, clean the transcripts, fit the tokenizer on those of training."""
        if self.datasets:
            return
        rows = once_each(self.sources, self._usable)
        self.text.fit(row.text for row in rows["train"])
        rows["train"] = writable(rows["train"], self.text.tokenizer, self.text.max_length, self.max_bad_fraction)
        if self.video is not None:
            self.step = _step(rows["train"], self.video)
        if self.prompt is not None:
            self.prompt.fit(_prompts(rows["train"]))
        if self.text.tokenizer.learns_unknown and (problems := unspellable(rows["train"], self.text.tokenizer)):
            rank_zero_info(f"train: in {len(problems)} transcripts something is learned as unknown: {listed(problems)}")
        for name in ("val", "test"):
            if problems := unspellable(rows[name], self.text.tokenizer):
                print(f"{name}: {len(problems)} transcripts count as errors that nothing can mend: {listed(problems)}")
        for name, usable in rows.items():
            speeds, augment = (self.speeds, self.augment) if name == "train" else ([1.0], None)
            self.datasets[name] = SpeechDataset(
                usable,
                self.audio,
                self.text,
                video=self.video,
                prompt=self.prompt,
                speeds=speeds,
                augment=augment,
                seed=self.seed,
            )

    def facts(self) -> Facts:
        """What the model must know before its weights exist."""
        tokenizer = {"config": describe(self.text.tokenizer), "state": self.text.state_dict()}
        transcript = {**self.text.facts(), "tokenizer": tokenizer}
        facts: Facts = {"audio": {"rate": self.audio.rate}, "transcript": transcript}
        if self.video is not None:
            facts["video"] = {"token_seconds": 1 / self.video.rate}
        if self.prompt is not None:
            facts["text"] = self.prompt.facts()
            transcript["prompted"] = True
        return facts

    def texts(self) -> dict[str, Texts]:
        """All transcripts of training, and the prompts where they are read."""
        rows = self.datasets["train"].rows
        prompts = {} if self.prompt is None else {"text": (self.prompt, _prompts(rows))}
        return {"transcript": (self.text, [row.text for row in rows]), **prompts}

    def use_facts(self, facts: Facts, encoders: Mapping[str, Encoder]) -> None:
        """Leave out of training what CTC cannot align at the fastest speed, once the model can count its tokens.

        Only then can it be known. In evaluation such rows stay: they are errors that the model makes.

        Raises:
            UserError: films or prompts are prepared that no encoder reads, or too few rows are left.
        """
        for option, stream, wanted in (("video", "video", self.video), ("prompt", "text", self.prompt)):
            if wanted is not None and stream not in encoders:
                raise UserError(
                    f"data.{option} is set, but backbone.encoders has no {stream!r}: give one, or leave it out"
                )
        if facts["transcript"].get("ctc"):
            dataset = self.datasets["train"]
            tokens = partial(self._fewest_tokens, encoders["audio"], facts["audio"]["token_seconds"])
            dataset.rows = alignable(dataset.rows, self.text.tokenizer, tokens, self.max_bad_fraction)

    def describe_processors(self) -> dict[str, Any]:
        """The preparation of recordings, films, prompts and transcripts as plain values, for the checkpoint."""
        processors = {
            "audio": {"config": describe(self.audio), "state": {}},
            "transcript": {"config": describe(self.text), "state": self.text.state_dict()},
        }
        if self.video is not None:
            processors["video"] = {"config": describe(self.video), "state": {}}
        if self.prompt is not None:
            processors["text"] = {"config": describe(self.prompt), "state": self.prompt.state_dict()}
        return processors

    def cache_features(self, name: str, encoder: nn.Module, device: torch.device) -> None:
        """Serve the features of the frozen encoder of ``audio`` instead of samples; there are none of others."""
        if name != "audio":
            return
        assert self.feature_cache is not None
        parts = [(row, speed) for data in self.datasets.values() for row in data.rows for speed in data.speeds]
        parts.sort(key=lambda part: (part[0].seconds or 0.0) / part[1])  # those about equally long together
        cache = cached_features(
            encoder,
            {cache_key(row, speed): partial(_samples, self.audio, row, speed) for row, speed in parts},
            self.feature_cache,
            describe(encoder),
            self.describe_processors()[name],
            device=device,
            trainer=self.trainer,
            batch_size=ENCODED_AT_ONCE,
        )
        for dataset in self.datasets.values():
            dataset.features[name] = cache

    def train_dataloader(self) -> StatefulDataLoader:
        """In an order drawn by (seed, epoch); says once what an epoch is."""
        loader = super().train_dataloader()
        if not self._told:
            rows, batches = self.datasets["train"].rows, loader.batch_sampler
            hours = sum(row.seconds or 0.0 for row in rows) / 3600
            told = f"{len(rows)} utterances, {hours:.2f} h, in {len(batches)} batches"
            rank_zero_info(f"speech to train on: {told}, {batches.padding():.1%} of them padding")
            self._told = True
        return loader

    def batches(self, name: str, budget: float, *, shuffle: bool) -> LengthBatches:
        """The batches of ``train``, ``val`` or ``test``; ``budget`` in seconds."""
        world, rank = self.processes()
        dataset = self.datasets[name]
        return LengthBatches(
            [row.seconds or 0.0 for row in dataset.rows],
            budget * min(dataset.speeds),  # played slower, it lasts longer
            max_size=self.max_batch_size,
            shuffle=shuffle,
            seed=self.seed,
            rank=rank,
            world_size=world,
        )

    def _usable(self, source: SpeechSource) -> list[SpeechRow]:
        return usable_utterances(
            source,
            self.audio,
            self.text.clean,
            characters_per_second=self.characters_per_second,
            max_seconds=self.max_seconds,
            max_bad_fraction=self.max_bad_fraction,
            films=self.video is not None,
            prompt_steps=None if self.prompt is None else self.prompt.clean,
        )

    def _fewest_tokens(self, encoder: Encoder, token_seconds: float, seconds: float) -> int:
        """Of a recording of so many seconds, played at the fastest speed."""
        samples = played(round(seconds * self.audio.rate), max(self.speeds))
        known = encoder.count_tokens(samples)
        return math.ceil(samples / self.audio.rate / token_seconds) if known is None else known

    def loader(self, name: str, *, shuffle: bool) -> StatefulDataLoader:
        """Batches of utterances about equally long."""
        budget = self.batch_seconds if shuffle else self.eval_batch_seconds
        return StatefulDataLoader(
            self.datasets[name],
            batch_sampler=self.batches(name, budget, shuffle=shuffle),
            num_workers=self.num_workers,
            persistent_workers=shuffle and self.num_workers > 0,
            collate_fn=Collate(self.step, prompt_pad=None if self.prompt is None else self.prompt.facts()["pad_id"]),
        )


def _samples(audio: AudioProcessor, row: SpeechRow, speed: float) -> Tensor:
    """A row's prepared recording (T,), played at a speed."""
    return play(audio(row.load()), speed)


def _step(rows: list[SpeechRow], video: VideoProcessor) -> list[int]:
    """The shape of a step of the films.

    Raises:
        UserError: no row has a film.
    """
    film = next((row.film for row in rows if row.film is not None), None)
    if film is None:
        raise UserError("video is set, but no training row has a film; give rows with films, or leave out data.video")
    return list(film(video).shape[1:])


def _prompts(rows: Sequence[SpeechRow]) -> list[str]:
    """Those that there are.

    Raises:
        UserError: none.
    """
    prompts = [row.prompt for row in rows if row.prompt]
    if not prompts:
        raise UserError("prompt is set, but no training row has one; give rows with prompt, or leave out data.prompt")
    return prompts
