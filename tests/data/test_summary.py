"""The datamodule of videos: statistics of training alone, titles, shuffled steps."""

from pathlib import Path

import numpy as np
import pytest
import torch

from mmtasks.data.summary import SummaryDataModule
from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import WordTokenizer
from mmtasks.errors import UserError
from tests.small_video import write_h5, write_splits


def module(tmp_path: Path, **options: object) -> SummaryDataModule:
    path, splits = str(write_h5(tmp_path / "a.h5")), str(write_splits(tmp_path / "splits.json"))
    parts = {part: SummaryH5(path, splits=splits, part=part) for part in ("train", "val", "test")}
    data = SummaryDataModule(**parts, **options)
    data.setup()
    return data


def test_statistics_are_of_the_training_videos(tmp_path: Path) -> None:
    data = module(tmp_path)
    steps = torch.cat([row.load() for row in data.datasets["train"].rows])
    facts = data.facts()["video"]
    assert facts["width"] == 6
    np.testing.assert_allclose(facts["mean"], steps.mean(dim=0), atol=1e-5)
    np.testing.assert_allclose(facts["std"], steps.std(dim=0, correction=0), atol=1e-5)


def test_a_video_is_not_learned_from_and_tested_on(tmp_path: Path) -> None:
    path, splits = str(write_h5(tmp_path / "a.h5")), str(write_splits(tmp_path / "splits.json"))
    parts = {
        part: SummaryH5(path, splits=splits, part=part, fold=1 if part == "test" else 0)
        for part in ("train", "val", "test")
    }
    with pytest.raises(UserError, match=r"a.h5:video_\d.*: both in train and in test; give them one fold"):
        SummaryDataModule(**parts).setup()


def test_a_batch_holds_video_titles_and_judgements(tmp_path: Path) -> None:
    data = module(tmp_path, text=TextProcessor(WordTokenizer()), batch_size=3)
    batch = next(iter(data.train_dataloader()))
    assert batch.inputs["video"].data.shape == (3, 12, 6)
    assert batch.inputs["text"].mask.sum(dim=1).tolist() == [5, 5, 5]
    assert batch.target["judged"].all()
    assert len(batch.target["annotation"]) == len(batch.ids) == 3
    assert data.describe_processors().keys() == {"text"}


def test_withheld_titles_leave_an_empty_text_stream(tmp_path: Path) -> None:
    data = module(tmp_path, text=TextProcessor(WordTokenizer()), titles=False)
    text = next(iter(data.val_dataloader())).inputs["text"]
    assert text.data.shape == (1, 1)
    assert not text.mask.any()


def test_shuffled_steps_keep_their_judgement(tmp_path: Path) -> None:
    plain, shuffled = (module(tmp_path, shuffle_steps=s).datasets["val"][0] for s in (False, True))
    order = np.searchsorted(plain.annotation.picks, shuffled.annotation.picks)
    assert (order != np.arange(12)).any()
    torch.testing.assert_close(shuffled.steps, plain.steps[order])
    torch.testing.assert_close(shuffled.importance, plain.importance[order])
    again = module(tmp_path, shuffle_steps=True).datasets["val"][0]
    np.testing.assert_array_equal(again.annotation.picks, shuffled.annotation.picks)


def test_sound_is_a_stream_beside_the_steps_and_absent_of_silent_videos(tmp_path: Path) -> None:
    heard = np.random.default_rng(0).standard_normal((12, 3)).astype(np.float16)
    source = SummaryH5(str(write_h5(tmp_path / "a.h5", 2, sound=heard)))
    data = SummaryDataModule(source, source, sound=True, shuffle_steps=True)
    data.setup()
    facts = data.facts()["sound"]
    np.testing.assert_allclose(facts["mean"], heard.astype(np.float64).mean(axis=0), atol=1e-5)
    assert facts["width"] == 3
    assert facts["token_seconds"] == data.facts()["video"]["token_seconds"] == 0.5
    batch = next(iter(data.val_dataloader()))
    sound = batch.inputs["sound"]
    assert sound.data.shape == (2, 12, 3)
    assert sound.mask.sum(dim=1).tolist() == [12, 0]
    picks = batch.target["annotation"][0].picks
    assert picks[0] > picks[1] or not np.all(np.diff(picks) > 0)
    np.testing.assert_array_equal(sound.data[0], heard[picks // 10].astype(np.float32))
    without = SummaryDataModule(source, source)
    without.setup()
    assert next(iter(without.val_dataloader())).inputs.keys() == {"video"}


def test_sound_that_no_training_video_has_is_told_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.h5:video_10: neither this training video nor another has sound"):
        module(tmp_path, sound=True)


@pytest.mark.parametrize("people", [True, False])
def test_videos_without_judgement_cost_nothing(tmp_path: Path, people: bool) -> None:
    changes = {} if people else dict.fromkeys(("gtscore", "user_scores", "user_summary"))
    source = SummaryH5(str(write_h5(tmp_path / "b.h5", 1, **changes)))
    data = SummaryDataModule(source, source)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    assert batch.target["judged"].all().item() is people
