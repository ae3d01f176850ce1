"""Films beside recordings: at an even rate, in step with the sound, absent where there is none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from mmtasks.data.audio import AudioProcessor
from mmtasks.data.speech import SpeechDataModule
from mmtasks.data.speech_film import evenly, in_step
from mmtasks.data.speech_sources import SpeechManifest
from mmtasks.data.text import TextProcessor
from mmtasks.data.tokenizer import CharacterTokenizer
from mmtasks.data.video_features import Steps, VideoProcessor
from mmtasks.errors import UserError
from mmtasks.types import Batch

RATE = 16_000


def level(*levels: float) -> torch.Tensor:
    """Steps (T, 1)."""
    return torch.tensor(levels)[:, None]


def test_steps_come_evenly_whatever_the_files_frames_do() -> None:
    steps = Steps(level(0, 1, 2), np.arange(3), 3, 10.0, np.array([0.0, 0.1, 0.4]))
    assert evenly(steps, 10.0).flatten().tolist() == [0, 1, 1, 1, 2]
    assert evenly(steps._replace(seconds=np.array([0.02, 0.19, 0.2])), 10.0).flatten().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start": 0.0, "seconds": 0.5}, [0, 1, 2, 3, 4]),
        ({"start": 0.3, "seconds": 0.35}, [3, 4, 5, 6]),
        ({"start": 0.0, "seconds": 1.0, "speed": 2.0}, [0, 2, 4, 6, 8]),
        ({"start": 0.0, "seconds": 0.3, "speed": 0.5}, [0, 0, 1, 2, 2, 2]),
        ({"start": 0.8, "seconds": 5.0}, [8, 9]),
        ({"start": 2.0, "seconds": 1.0}, []),
    ],
)
def test_a_film_stays_in_step_with_the_part_that_is_heard(options: dict[str, float], expected: list[int]) -> None:
    assert in_step(torch.arange(10), 10.0, **options).tolist() == expected


def film_file(path: Path, levels: list[int]) -> None:
    pytest.importorskip("av")
    from tests.clips import grey, write_clip

    write_clip(path, grey(levels, height=16, width=16))


def rows(folder: Path, *given: dict[str, Any]) -> SpeechManifest:
    """A manifest of recordings of a second of noise after half a second of silence; ``video`` files of ten pictures."""
    generator = torch.Generator().manual_seed(0)
    for k, row in enumerate(given):
        samples = torch.cat([torch.zeros(RATE // 2), 0.1 * torch.randn(RATE, generator=generator)])
        soundfile.write(folder / f"{k}.wav", samples.numpy(), RATE)
        row |= {"id": k, "audio": f"{k}.wav", "text": "yes"}
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, given)))
    return SpeechManifest(str(folder / "m.jsonl"))


def datamodule(source: SpeechManifest, **options: Any) -> SpeechDataModule:
    options = {"audio": AudioProcessor(RATE, []), "video": VideoProcessor(10, size=[8, 8]), **options}
    data = SpeechDataModule(source, source, text=TextProcessor(CharacterTokenizer(), max_length=8), **options)
    data.setup()
    return data


def batch_of(data: SpeechDataModule) -> Batch:
    return next(iter(data.val_dataloader()))


def test_a_manifest_may_name_a_film_for_some_recordings(tmp_path: Path) -> None:
    film_file(tmp_path / "0.mp4", list(range(0, 150, 10)))
    data = datamodule(rows(tmp_path, {"video": "0.mp4"}, {}))
    batch = batch_of(data)
    video = batch.inputs["video"]
    row = batch.ids.index("0")
    assert video.data.shape == (2, 15, 3, 8, 8) and video.mask.sum(dim=1)[row] == 15 and not video.mask[1 - row].any()
    found = video.data[row].mean(dim=(1, 2, 3))
    torch.testing.assert_close(found, torch.arange(0, 150, 10) / 255, atol=0.02, rtol=0)
    assert data.facts()["video"] == {"token_seconds": 0.1}
    assert data.describe_processors()["video"]["config"]["init_args"]["size"] == [8, 8]


def test_what_is_cut_from_the_sound_is_cut_from_the_film(tmp_path: Path) -> None:
    film_file(tmp_path / "0.mp4", list(range(0, 150, 10)))
    trimmed = datamodule(rows(tmp_path, {"video": "0.mp4"}), audio=AudioProcessor(RATE, [{"trim": {"keep": 0.0}}]))
    part = datamodule(rows(tmp_path, {"video": "0.mp4", "start": 0.5, "end": 1.0}))
    for data, count in ((trimmed, 10), (part, 5)):
        film = data.datasets["val"][0].film
        assert len(film) == count and film[0].mean() == pytest.approx(50 / 255, abs=0.02)


def test_played_faster_both_streams_are_shorter(tmp_path: Path) -> None:
    film_file(tmp_path / "0.mp4", list(range(0, 150, 10)))
    sample = datamodule(rows(tmp_path, {"video": "0.mp4"}), speeds=[1.25]).datasets["train"][0]
    assert len(sample.audio) == 1.2 * RATE and len(sample.film) == 12
    torch.testing.assert_close(sample.film[4].mean(), torch.tensor(50 / 255), atol=0.02, rtol=0)


def test_a_batch_without_any_film_still_has_the_stream(tmp_path: Path) -> None:
    film_file(tmp_path / "0.mp4", [10, 20])
    data = datamodule(rows(tmp_path, {"video": "0.mp4"}, {}))
    data.datasets["val"].rows = [row for row in data.datasets["val"].rows if row.film is None]
    video = batch_of(data).inputs["video"]
    assert video.data.shape == (1, 1, 3, 8, 8) and not video.mask.any()
    assert "video" not in batch_of(datamodule(rows(tmp_path, {"video": "0.mp4"}), video=None)).inputs


def test_a_broken_film_is_named_and_its_row_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film_file(tmp_path / "0.mp4", [10, 20])
    (tmp_path / "1.mp4").write_bytes(b"no video")
    source = rows(tmp_path, {"video": "0.mp4"}, {"video": "1.mp4"}, {"video": "2.mp4"})
    data = datamodule(source, max_bad_fraction=0.7)
    assert [row.id for row in data.datasets["train"].rows] == ["0"]
    told = capsys.readouterr().out
    assert "m.jsonl:2: " in told and "not a video" in told and "no such video" in told
    assert len(datamodule(source, video=None).datasets["train"]) == 3


def test_what_cannot_be_is_said_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"m.jsonl:1: video is 3; give the path"):
        rows(tmp_path, {"video": 3})
    source = rows(tmp_path, {})
    with pytest.raises(UserError, match="no training row has a film; give rows with films, or leave out data.video"):
        datamodule(source)
    with pytest.raises(ValueError, match="leave out video, or feature_cache"):
        datamodule(source, feature_cache="cache")
    with pytest.raises(ValueError, match="leave out its clean and encoder"):
        datamodule(source, video=VideoProcessor(10, size=[8, 8], clean=["black"]))
