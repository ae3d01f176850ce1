"""A model that is told what to expect: the recordings sound alike, the prompt alone says what they mean."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from mmtasks.cli import main
from mmtasks.data.audio import open_audio
from mmtasks.errors import UserError
from mmtasks.inference import speech_commands
from mmtasks.inference.speech import Transcriber
from mmtasks.inference.streaming import StreamingTranscriber
from mmtasks.tasks.launch import launch
from mmtasks.testing import check_task
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
            init_args: {dim: 16, num_layers: 1, num_heads: 2, num_mels: 20, dropout: 0.0}
          text: {class_path: mmtasks.encoders.text.RNNText, init_args: {dim: 16}}
        fusion: {class_path: mmtasks.fusion.transformer.JointTransformer, init_args: {num_layers: 1, num_heads: 2}}
    objective: {class_path: mmtasks.objectives.speech.Transcription, init_args: {dropout: 0.0}}
    optimization: {class_path: mmtasks.optim.AdamWCosine, init_args: {lr: 2.0e-2}}
data:
  class_path: mmtasks.data.speech.SpeechDataModule
  init_args:
    train: &rows {class_path: mmtasks.data.speech_sources.SpeechManifest, init_args: {path: rows.jsonl}}
    val: *rows
    text: {class_path: mmtasks.data.text.TextProcessor, init_args: {tokenizer: {class_path: CHARACTERS}}}
    prompt: {class_path: mmtasks.data.text.TextProcessor, init_args: {tokenizer: {class_path: WORDS}}}
    audio: {class_path: mmtasks.data.audio.AudioProcessor, init_args: {rate: 8000}}
    max_batch_size: 6
trainer: {max_epochs: 12, check_val_every_n_epoch: 12, enable_progress_bar: false, accelerator: cpu}
"""
TOKENIZERS = {"CHARACTERS": "CharacterTokenizer", "WORDS": "WordTokenizer"}
MEANT = {"The Door!": "d", "the lamp": "l", "": "n"}


def write_rows(folder: Path, name: str, prompts: list[str]) -> Path:
    """A manifest in which every recording is the same noise."""
    if not (folder / "noise.wav").exists():
        soundfile.write(folder / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(1600), 8000)
    rows = [{"id": k, "audio": "noise.wav", "text": MEANT[prompt]} for k, prompt in enumerate(prompts)]
    told = [row | {"prompt": prompt} if prompt else row for row, prompt in zip(rows, prompts, strict=True)]
    (folder / name).write_text("\n".join(map(json.dumps, told)))
    return folder / name


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty rows and a model that learned from them."""
    folder = tmp_path_factory.mktemp("prompts")
    write_rows(folder, "rows.jsonl", [*MEANT] * 20)
    config = CONFIG
    for name, tokenizer in TOKENIZERS.items():
        config = config.replace(name, f"mmtasks.data.tokenizer.{tokenizer}")
    (folder / "config.yaml").write_text(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        launch(["fit", "--config=config.yaml", f"--trainer.default_root_dir={folder / 'run'}", "--seed_everything=0"])
    return folder


@pytest.fixture
def checkpoint(folder: Path) -> str:
    return str(folder / "run" / "checkpoints" / "last.ckpt")


def test_each_recording_is_heard_with_its_own_prompt(folder: Path, checkpoint: str) -> None:
    noise = open_audio(folder / "noise.wav", "noise")
    for at_once in (1, 2):
        transcriber = Transcriber(checkpoint, batch_seconds=0.3, at_once=at_once)  # a recording a step
        assert [one.text for one in transcriber.hear([noise] * 3, prompts=list(MEANT))] == list(MEANT.values())
    assert [one.text for one in Transcriber(checkpoint).hear([noise])] == ["n"]


def test_predict_reads_the_prompts_of_a_manifest(
    folder: Path, checkpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech_commands, "best_detector", NotZero)
    output = tmp_path / "out.jsonl"
    prompts = ["the lamp", "", "The Door!"]
    manifest = write_rows(folder, "more.jsonl", prompts)
    for at_once in (30.0, 0.1):  # as short recordings, and cut like long ones
        monkeypatch.setattr(speech_commands, "AT_ONCE", at_once)
        assert main(["predict", f"--manifest={manifest}", f"--output={output}", f"--checkpoint={checkpoint}"]) == 0
        texts = [json.loads(line)["text"] for line in output.read_text().splitlines()]
        assert texts == [MEANT[prompt] for prompt in prompts]


def test_a_prompt_is_told_beside_all_that_is_transcribed(
    folder: Path, checkpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(speech_commands, "best_detector", NotZero)
    for prompt, text in MEANT.items():
        given = ["transcribe", str(folder / "noise.wav"), f"--checkpoint={checkpoint}", f"--prompt={prompt}"]
        assert main(given) == 0
        assert capsys.readouterr().out.strip() == text
    noise = open_audio(folder / "noise.wav", "noise").samples
    stream = StreamingTranscriber(Transcriber(checkpoint, prompt="door"), detector=NotZero(), left=10, right=10)
    assert "".join(word.text for said in stream([noise]) for word in said.words) == "d"


def test_bad_prompts_are_told_in_a_line(folder: Path, checkpoint: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--prompt ' ': no words are left"):
        Transcriber(checkpoint, prompt=" ")
    bad = folder / "bad.jsonl"
    bad.write_text(json.dumps({"id": 1, "audio": "noise.wav", "text": "n", "prompt": 3}))
    with pytest.raises(UserError, match="bad.jsonl:1: prompt is 3"):
        main_or_raise(folder, "bad.jsonl", tmp_path)
    write_rows(folder, "none.jsonl", ["", ""])
    with pytest.raises(UserError, match="no training row has one"):
        main_or_raise(folder, "none.jsonl", tmp_path)


def test_a_prompt_that_cannot_be_cleaned_is_a_line_of_its_row(
    folder: Path, checkpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = folder / "surrogate.jsonl"
    bad.write_text('{"id": 1, "audio": "noise.wav", "prompt": "\\ud800"}')
    given = [f"--manifest={bad}", f"--output={tmp_path / 'out.jsonl'}", f"--checkpoint={checkpoint}"]
    assert main(["predict", *given]) == 2
    assert "surrogate.jsonl:1: " in capsys.readouterr().err


def test_prompts_need_an_encoder_of_text(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "config.yaml").read_text().splitlines(keepends=True)
    (folder / "deaf.yaml").write_text("".join(line for line in lines if "RNNText" not in line))
    with pytest.raises(UserError, match="data.prompt is set, but backbone.encoders has no 'text'"):
        main_or_raise(folder, "rows.jsonl", tmp_path, config="deaf.yaml")


@pytest.mark.slow
def test_a_task_with_prompts_keeps_all_promises(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    check_task("config.yaml")


def main_or_raise(folder: Path, manifest: str, run: Path, *, config: str = "config.yaml") -> None:
    """Train on a manifest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        rows = [f"--data.init_args.{split}.init_args.path={manifest}" for split in ("train", "val")]
        launch(["fit", f"--config={config}", f"--trainer.default_root_dir={run}", *rows])
