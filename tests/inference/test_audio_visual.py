"""A model that hears and sees: with films, with some, and on sound alone."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mmtasks.cli import main
from mmtasks.data.audio import Audio
from mmtasks.data.speech_film import Film
from mmtasks.data.video_features import VideoProcessor
from mmtasks.data.voice_activity import Detector
from mmtasks.inference import speech_commands
from mmtasks.inference.speech import Transcriber
from mmtasks.tasks.launch import launch
from tests.clips import write_clip
from tests.inference.test_streaming import NotZero

CONFIG = """
model:
  class_path: mmtasks.tasks.speech.SpeechToText
  init_args:
    backbone:
      class_path: mmtasks.backbone.Backbone
      init_args:
        dim: 16
        encoders:
          audio:
            class_path: mmtasks.encoders.audio.ConformerAudio
            init_args: {dim: 16, num_layers: 1, num_heads: 2, num_mels: 20}
          video:
            class_path: mmtasks.encoders.video.VideoEncoder
            init_args:
              dim: 16
              pictures:
                class_path: mmtasks.encoders.resnet.ResNetEncoder
                init_args: {layers: [1], base_width: 8, stem: small}
        fusion: {class_path: mmtasks.fusion.mman.MMAN}
        timed: [audio, video]
        modality_dropout: {video: 0.5}
    objective: {class_path: mmtasks.objectives.speech.Transcription}
data:
  class_path: mmtasks.data.speech.SpeechDataModule
  init_args:
    train: &rows {class_path: mmtasks.data.speech_sources.SpeechManifest, init_args: {path: rows.jsonl}}
    val: *rows
    text: {class_path: mmtasks.data.text.TextProcessor, init_args: {tokenizer: {class_path: TOKENIZER}}}
    audio: {class_path: mmtasks.data.audio.AudioProcessor, init_args: {rate: 8000, steps: [loudness]}}
    video: {class_path: mmtasks.data.video_features.VideoProcessor, init_args: {rate: 10, size: [8, 8]}}
trainer: {max_epochs: 1, enable_progress_bar: false, accelerator: cpu}
""".replace("TOKENIZER", "mmtasks.data.tokenizer.CharacterTokenizer")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four recordings, of which three have a film, and a checkpoint of a step with them."""
    folder = tmp_path_factory.mktemp("films")
    generator = np.random.default_rng(0)
    rows = []
    for k in range(4):
        soundfile.write(folder / f"{k}.wav", 0.1 * generator.standard_normal(8000), 8000)
        row = {"id": k, "audio": f"{k}.wav", "text": "ab"}
        if k < 3:
            write_clip(folder / f"{k}.mp4", list(generator.integers(0, 256, (10, 16, 16, 3), dtype=np.uint8)))
            row["video"] = f"{k}.mp4"
        rows.append(json.dumps(row))
    (folder / "rows.jsonl").write_text("\n".join(rows))
    (folder / "config.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        launch(["fit", "--config=config.yaml", f"--trainer.default_root_dir={folder / 'run'}"])
    return folder


@pytest.fixture
def transcriber(folder: Path) -> Transcriber:
    return Transcriber(folder / "run" / "checkpoints" / "last.ckpt")


class Drawn(Film):
    """Random pictures."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, video: VideoProcessor) -> torch.Tensor:
        return torch.rand(10, 3, 8, 8, generator=torch.Generator().manual_seed(self.seed))


class Deaf(Detector):
    """Finds no speech in anything."""

    def decide(self, frames: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(frames))


def recordings(count: int) -> list[Audio]:
    generator = torch.Generator().manual_seed(0)
    return [Audio(0.1 * torch.randn(8000, generator=generator), 8000) for _ in range(count)]


def test_films_are_read_beside_their_own_recordings(transcriber: Transcriber) -> None:
    sound = recordings(3)
    films = [Drawn(0), None, Drawn(2)]
    together = transcriber.hear(sound, films)
    for one, film, found in zip(sound, films, together, strict=True):
        alone = transcriber.hear([one], [film])[0]
        assert alone.text == found.text and alone.score == pytest.approx(found.score, abs=1e-4)
    assert together[1].score == pytest.approx(transcriber.hear(sound)[1].score, abs=1e-4)
    assert together[0].score != pytest.approx(transcriber.hear(sound)[0].score, abs=1e-4)


def test_predict_reads_the_films_of_a_manifest(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint = folder / "run" / "checkpoints" / "last.ckpt"

    def scores(manifest: Path) -> dict[str, float]:
        output = tmp_path / "out.jsonl"
        assert main(["predict", f"--manifest={manifest}", f"--output={output}", f"--checkpoint={checkpoint}"]) == 0
        return {row["id"]: row["score"] for row in map(json.loads, output.read_text().splitlines())}

    monkeypatch.setattr(speech_commands, "best_detector", Deaf)
    unheard = scores(folder / "rows.jsonl")
    assert unheard["3"] is None and all(unheard[k] is not None for k in "012")
    monkeypatch.setattr(speech_commands, "best_detector", NotZero)
    seen = scores(folder / "rows.jsonl")
    rows = [json.loads(line) for line in (folder / "rows.jsonl").read_text().splitlines()]
    blind = folder / "blind.jsonl"
    blind.write_text("\n".join(json.dumps({"id": row["id"], "audio": row["audio"]}) for row in rows))
    heard = scores(blind)
    assert seen["3"] == heard["3"] and all(seen[k] != heard[k] for k in "012")


def test_a_broken_film_is_a_line_of_its_row(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = folder / "run" / "checkpoints" / "last.ckpt"
    (folder / "no.mp4").write_bytes(random.Random(0).randbytes(100))
    bad = folder / "bad.jsonl"
    bad.write_text(json.dumps({"id": 1, "audio": "0.wav", "video": "no.mp4"}))
    output = tmp_path / "out.jsonl"
    assert main(["predict", f"--manifest={bad}", f"--output={output}", f"--checkpoint={checkpoint}"]) == 2
    assert "bad.jsonl:1: " in capsys.readouterr().err
