"""Metrics over a whole set do not depend on how processes and batches share it."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from mmtasks.metrics.pairs import LabelledPairs
from mmtasks.metrics.retrieval import Gallery
from mmtasks.metrics.summary import SummaryScores
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.objectives.rerank import pair_figures
from mmtasks.types import Tokens
from tests.metrics.summary.videos import small_video

PICTURES = 7
# of videos: uneven; a sampler that repeats one, to make shares equal; a process without any
SHARES = [([0, 2, 4], [1, 3]), ([0, 2, 4], [1, 3, 0]), ([0, 1, 2, 3, 4], [])]


def _gallery(rank: int, world: int) -> Gallery:
    """Seven pictures of one to three captions, in batches of two, shared as the sampler does."""
    gallery = Gallery(4)
    mine = list(range(rank, PICTURES, world))
    for start in range(0, len(mine), 2):
        rows = torch.tensor(mine[start : start + 2])
        captions = rows.repeat_interleave(1 + rows % 3)
        image = rows[:, None].float()
        text = captions[:, None].float() / 2
        lengths = 2 + captions % 2
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        images = Tokens(image[:, :, None], torch.ones(len(rows), 1, dtype=torch.bool))
        texts = Tokens(mask[:, :, None].float(), mask)
        gallery.update((image, images, rows), (text, texts, captions))
    return gallery


def _pairs(rank: int, world: int) -> LabelledPairs:
    pairs = LabelledPairs()
    logits = torch.tensor([[2.0, 1.0], [0.0, 3.0], [1.0, 1.5], [4.0, 0.0], [0.0, 0.2]])[rank::world]
    labels = torch.tensor([0, 1, 0, 1, 1])[rank::world]
    pairs.update(logits[:, 1] - logits[:, 0], logits, labels)
    return pairs


def _summaries(videos: list[int]) -> dict[str, dict[str, float]]:
    """Figures of each video and of all, scored one by one."""
    metric = SummaryScores().to("cpu")  # as a task does; it makes torchmetrics forget the dtype
    for i in videos:
        metric.update([f"video {i}"], [np.random.default_rng(i).random(12)], [small_video(i, chosen=i != 2)])
    return {"all": {name: value.item() for name, value in metric.compute().items()}, **metric.videos}


def _work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    summaries = [_summaries(shares[rank]) for shares in SHARES]
    found = _gallery(rank, 2).compute(), _pairs(rank, 2).compute(), summaries
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_with_uneven_batches_find_the_whole_set(tmp_path: Path) -> None:
    mp.spawn(_work, (str(tmp_path),), nprocs=2)
    one = _gallery(0, 1).compute()
    for rank in (0, 1):
        gallery, pairs, summaries = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert gallery["image_index"].tolist() == list(range(PICTURES))
        for name in ("text_index", "caption_index", "image", "text_mask"):
            torch.testing.assert_close(gallery[name], one[name])
        assert pairs == _pairs(0, 1).compute()
        assert summaries == [_summaries([0, 1, 2, 3, 4])] * len(SHARES)


def test_labelled_pairs_by_hand() -> None:
    figures = _pairs(0, 1).compute()
    assert figures["match_accuracy"] == torch.tensor(3 / 5)
    # log odds -1, 3, 0.5, -4, 0.2 of labels 0, 1, 0, 1, 1: of six (match, no match) pairs three are in order
    assert figures["match_auc"] == torch.tensor(0.5)


def test_confident_scores_are_told_apart() -> None:
    """Log odds 30, 20, 25, 40, 25 of labels 1, 0, 0, 1, 1: of six pairs five are in order, one ties."""
    log_odds, labels = torch.tensor([30.0, 20.0, 25.0, 40.0, 25.0]), torch.tensor([1, 0, 0, 1, 1])
    pairs = LabelledPairs()
    pairs.update(log_odds, torch.stack([-log_odds, log_odds], dim=1), labels)
    assert pairs.compute()["match_auc"].item() == pytest.approx(5.5 / 6)
    positive = torch.eye(2, dtype=torch.bool)
    scores = torch.tensor([[30.0, 20.0], [25.0, 40.0]])  # captions by pictures
    assert pair_figures(positive, lambda text, image: scores[text, image])["match_auc"] == 1


def test_errors_are_counted_by_kind() -> None:
    errors = WordErrors()
    errors.update([Transcript("1", "a b c d", "a x c"), Transcript("2", "e f", "e f g")])
    figures = {name: float(value) for name, value in errors.compute().items()}
    assert figures["substitutions"] == figures["deletions"] == figures["insertions"] == torch.tensor(1 / 6).item()
    assert figures["wer"] == torch.tensor(0.5).item()
    assert figures["accuracy"] == 0
    assert figures["cer"] == torch.tensor((1 + 2 + 2) / 10).item()
    errors.reset()
    assert errors.transcripts == [] and errors.compute()["wer"] == 0


def test_empty_texts_on_either_side_count() -> None:
    errors = WordErrors()
    errors.update([Transcript("1", "", "a"), Transcript("2", "b c", "")])
    assert errors.compute()["wer"] == 1.5
