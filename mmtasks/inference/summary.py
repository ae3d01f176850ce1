"""Summarize videos of any length with a trained model."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import torch
from torch import Tensor

from mmtasks.data.clean import clean_captions
from mmtasks.data.shots import video_shots
from mmtasks.data.summary_rows import SummaryRow
from mmtasks.data.video_features import VideoProcessor
from mmtasks.encoders.video import VideoEncoder
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import Model, load, objective_of
from mmtasks.inference.summary_shots import Span, in_pieces, lasting, shot_spans
from mmtasks.metrics.summary import select
from mmtasks.objectives.summary import SummaryScoring
from mmtasks.types import Annotation, Batch, Modality, Tokens

Progress = Callable[[float], None]


class Scored(NamedTuple):
    """What a model thinks of a video of F frames, of which it saw T.

    scores: (T,) in [0, 1]; seconds: (T,) when each step is; annotation: without people; spans: of each shot.
    """

    scores: np.ndarray
    seconds: np.ndarray
    annotation: Annotation
    spans: list[Span]


class Summary(NamedTuple):
    """Which shots of a scored video are shown; moments: of the best step of each, in seconds."""

    scored: Scored
    chosen: list[int]
    moments: list[float]

    @property
    def segments(self) -> list[Span]:
        """From when to when, neighbouring shots in one."""
        joined: list[Span] = []
        for shot in self.chosen:
            start, end = self.scored.spans[shot]
            if joined and shot - 1 in self.chosen:
                start = joined.pop()[0]
            joined.append((start, end))
        return joined


class Summarizer:
    """A trained model of video summaries, ready to use.

    Args:
        checkpoint: its path, or the loaded model.
        device: to compute on.
        needs_processor: it will read files, not only rows of features.

    Raises:
        UserError: the checkpoint is of another task, or does not say how it reads videos.
    """

    def __init__(self, checkpoint: str | Path | Model, *, device: str = "cpu", needs_processor: bool = True) -> None:
        self.model = checkpoint if isinstance(checkpoint, Model) else load(checkpoint, device=device)
        self.objective = objective_of(self.model, SummaryScoring, "video summarization")
        if needs_processor and "video" not in self.model.processors:
            raise UserError(
                f"{self.model.path}: trained on features of unknown making, which no video can be turned into; "
                "train on an h5 of `mmtasks prepare video`, or give the datamodule its `video`"
            )
        self.processor: VideoProcessor | None = self.model.processors.get("video")
        self.reads_text = "text" in self.model.backbone.encoders
        self.reads_sound = "sound" in self.model.backbone.encoders
        if needs_processor and self.reads_sound and self.processor is not None and self.processor.sound is None:
            raise UserError(
                f"{self.model.path}: trained on sound of unknown making; train on an h5 of "
                "`mmtasks prepare video --sound`, or give the `video` of the datamodule its `sound`"
            )

    def summarize(
        self,
        path: str | Path,
        *,
        ratio: float | None = None,
        seconds: float | None = None,
        query: str = "",
        progress: Progress | None = None,
    ) -> Summary:
        """The best shots of a file within a share of its length, or so many seconds; by default the model's own share.

        Raises:
            UserError: not a video, the query cannot be read, or no shot fits.
        """
        self.check_query(query)
        summary = self.choose(self.score(path, query=query, progress=progress), ratio=ratio, seconds=seconds)
        if not summary.chosen:
            raise UserError(f"{path}: no shot fits into the summary; give a larger --ratio or more --seconds")
        return summary

    def check_query(self, query: str) -> None:
        """Complain of a query that would make no difference.

        Raises:
            UserError: the model reads none, or there are no words in it.
        """
        if query and not self.reads_text:
            raise UserError(f"{self.model.path}: this model reads no query; leave out --query")
        if query and not clean_captions([query], self.model.processors["text"].clean):
            raise UserError(f"--query {query!r}: no words are left after cleaning; write some")

    def score(self, path: str | Path, *, query: str = "", progress: Progress | None = None) -> Scored:
        """How important each step of a file is, to whoever looks for ``query``, where the model reads one.

        ``progress`` is told, now and then, how many seconds of the file are read.

        Raises:
            UserError: not a video, or nothing is left of it.
        """
        assert self.processor is not None
        text = self._text(query)
        steps = self.processor(path, device=self.model.device, progress=progress)
        shots = video_shots(steps.data.flatten(1).numpy(), steps.picks, steps.n_frames)
        annotation = Annotation(steps.picks, steps.n_frames, steps.fps, shots)
        scores = self._scores(steps.data, text, steps.sound)
        return Scored(scores, steps.seconds, annotation, shot_spans(annotation, steps.seconds))

    def score_row(self, row: SummaryRow) -> Scored:
        """The same of features that are there, with their shots; the title is the query.

        Times that the features do not tell are by frame rate, and in frames where that is not known.

        Raises:
            UserError: features or sound are not like those that the model learned from.
        """
        steps = row.load()
        sound = row.sound() if self.reads_sound and row.sound is not None else None
        self._check_width("video", steps, row.where)
        if sound is not None:
            self._check_width("sound", sound, row.where)
        seconds = row.annotation.picks / (row.annotation.fps or 1.0) if row.seconds is None else row.seconds
        scores = self._scores(steps, self._text(row.title), sound)
        return Scored(scores, seconds, row.annotation, shot_spans(row.annotation, seconds))

    def choose(self, scored: Scored, *, ratio: float | None = None, seconds: float | None = None) -> Summary:
        """The shots of a summary within the budget, none where every shot is longer.

        A shot that is longer than the summary may be is offered in equal pieces.
        """
        if ratio is None and seconds is None:
            ratio = self.objective.budget
        longest = seconds if seconds is not None else (ratio or 0.0) * scored.spans[-1][1]
        annotation = in_pieces(scored.annotation, scored.seconds, longest)
        spans = shot_spans(annotation, scored.seconds)
        selected = select(
            scored.scores,
            annotation,
            ratio=ratio,
            seconds=seconds,
            worth=self.objective.worth,
            lengths=lasting(annotation, spans),
        )
        chosen = [int(shot) for shot in selected.shots]
        pieces = scored._replace(annotation=annotation, spans=spans)
        return Summary(pieces, chosen, [_best(pieces, shot) for shot in chosen])

    @torch.inference_mode()
    def _scores(self, steps: Tensor, text: Modality | None, sound: Tensor | None) -> np.ndarray:
        """Steps (T, …) of one video, and what is heard around them (T, D) -> (T,)."""
        device = self.model.device
        real = torch.ones(1, len(steps), dtype=torch.bool, device=device)
        inputs: dict[str, Modality | Tokens] = {"video": Modality(steps[None].to(device), real)}
        if text is not None:
            inputs["text"] = text
        if self.reads_sound:
            inputs["sound"] = self._sound(sound, real)
        batch = Batch(inputs, {}, [""])
        output = self.objective(self.model.backbone.encode(batch.inputs), self.model.backbone.fuse, batch)
        return np.asarray(output.scores[0].float().cpu().numpy())

    def _sound(self, sound: Tensor | None, real: Tensor) -> Modality:
        """(1, T, D), nothing real of a silent video."""
        if sound is None:
            width = cast(VideoEncoder, self.model.backbone.encoders["sound"]).mean.shape[0]
            return Modality(torch.zeros(*real.shape, width, device=real.device), torch.zeros_like(real))
        return Modality(sound[None].to(real.device), real)

    def _check_width(self, name: str, steps: Tensor, where: str) -> None:
        """Of features from elsewhere; those of the processor fit."""
        encoder, told = self.model.backbone.encoders[name], {"video": "features"}.get(name, name)
        if not isinstance(encoder, VideoEncoder):
            return
        if encoder.pictures is not None:
            raise UserError(f"{where}: holds features, but the model reads pictures; give --manifest of video files")
        if misfit := encoder.misfit(steps.shape[1:]):
            raise UserError(f"{where}: {told} of {misfit}; make them with the encoder that it was trained with")

    def _text(self, query: str) -> Modality | None:
        """(1, L), nothing real where there are no words; None where the model reads none."""
        if not self.reads_text:
            return None
        processor = self.model.processors["text"]
        cleaned = clean_captions([query], processor.clean)
        ids: Tensor = processor(cleaned[0])[None] if cleaned else torch.full((1, 1), processor.tokenizer.pad_id)
        mask = torch.full(ids.shape, bool(cleaned))
        return Modality(ids.to(self.model.device), mask.to(self.model.device))


def _best(scored: Scored, shot: int) -> float:
    """When the best step of a shot is; its middle where no step lies in it."""
    first, last = scored.annotation.change_points[shot]
    inside = np.flatnonzero((scored.annotation.picks >= first) & (scored.annotation.picks <= last))
    if not len(inside):
        return sum(scored.spans[shot]) / 2
    return float(scored.seconds[inside[scored.scores[inside].argmax()]])
