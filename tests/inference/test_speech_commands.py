"""The commands of a trained speech-to-text model, from the command line to what a person reads."""

import errno
import io
import json
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mmtasks.cli import main
from mmtasks.data.audio import Audio
from mmtasks.data.voice_activity import EnergyDetector
from mmtasks.inference import speech, speech_commands, streaming, transcripts
from mmtasks.metrics.normalise import normaliser
from mmtasks.tasks.launch import launch

RATE = 16_000
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
        fusion: {class_path: mmtasks.fusion.mman.MMAN}
    objective: {class_path: mmtasks.objectives.speech.Transcription}
data:
  class_path: mmtasks.data.speech.SpeechDataModule
  init_args:
    train: &rows {class_path: mmtasks.data.speech_sources.SpeechManifest, init_args: {path: rows.jsonl}}
    val: *rows
    text: {class_path: mmtasks.data.text.TextProcessor, init_args: {tokenizer: {class_path: TOKENIZER}}}
trainer: {max_epochs: 1, enable_progress_bar: false, accelerator: cpu}
""".replace("TOKENIZER", "mmtasks.data.tokenizer.CharacterTokenizer")

SEARCH = """
model:
  init_args:
    objective:
      init_args:
        search:
          class_path: mmtasks.heads.ctc_search.CTCSearch
          init_args:
            language_model: {class_path: mmtasks.heads.language_model.NGram, init_args: {path: lm.txt}}
            weight: 0.7
"""


def bursts(*starts: float, seconds: float) -> np.ndarray:
    """Half a second of loud noise at each start, over faint noise."""
    generator = np.random.default_rng(0)
    samples = 0.0005 * generator.standard_normal(int(seconds * RATE))
    for start in starts:
        first = int(start * RATE)
        samples[first : first + RATE // 2] += 0.2 * generator.standard_normal(RATE // 2)
    return samples.clip(-1, 1).astype(np.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of one step."""
    folder = tmp_path_factory.mktemp("run")
    rows = []
    for i, text in enumerate(["a b", "b a", "a", "b"]):
        soundfile.write(folder / f"{i}.wav", bursts(0.1, seconds=1.0), RATE)
        rows.append(json.dumps({"id": str(i), "audio": f"{i}.wav", "text": text}))
    (folder / "rows.jsonl").write_text("\n".join(rows))
    (folder / "tiny.yaml").write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli = launch(["fit", "--config", "tiny.yaml"])
    return folder / cli.trainer.default_root_dir


@pytest.fixture
def checkpoint(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model that hears "a" wherever there is sound; speech is found by its level."""
    for module in (speech, speech_commands, streaming):
        monkeypatch.setattr(module, "best_detector", EnergyDetector)
    content = torch.load(trained / "checkpoints" / "last.ckpt", weights_only=True)
    vocabulary = json.loads(content["mmtasks"]["facts"]["transcript"]["tokenizer"]["state"]["json"])["model"]["vocab"]
    content["state_dict"]["objectives.transcription.head.out.bias"][vocabulary["a"]] = 100.0
    torch.save(content, tmp_path / "a.ckpt")
    return tmp_path / "a.ckpt"


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Two bursts, at 1 and 4 seconds."""
    soundfile.write(tmp_path / "two.wav", bursts(1, 4, seconds=6), RATE)
    return tmp_path / "two.wav"


def run(*arguments: object) -> int:
    return main([str(a) for a in arguments])


def test_text_has_a_line_for_each_segment(checkpoint: Path, recording: Path, capsys) -> None:
    assert run("transcribe", recording, "--checkpoint", checkpoint) == 0
    captured = capsys.readouterr()
    assert captured.out == "a\na\n"
    assert re.search(r"two.wav: 6.0 s of sound in .* real-time factor \d+\.\d+; 2 segments", captured.err)


def test_json_has_absolute_times(checkpoint: Path, recording: Path, tmp_path: Path) -> None:
    assert run("transcribe", recording, "--checkpoint", checkpoint, "--format", "json", "--output", tmp_path / "o") == 0
    found = json.loads((tmp_path / "o" / "two.json").read_text())
    assert found["text"] == "a a"
    for segment, start in zip(found["segments"], [1, 4], strict=True):
        [word] = segment["words"]
        assert segment["start"] == pytest.approx(
            min(start, word["start"]), abs=0.05
        )  # as heard, or wider for its words
        assert segment["end"] == pytest.approx(max(start + 0.5, word["end"]), abs=0.05)
        assert word["word"] == "a" and abs(word["start"] - start) < 0.3 and abs(word["end"] - start - 0.5) < 0.3


def test_subtitles(checkpoint: Path, recording: Path, capsys) -> None:
    assert run("transcribe", recording, "--checkpoint", checkpoint, "--format", "srt") == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        lines[0] == "1"
        and re.fullmatch(r"00:00:0[01],\d{3} --> 00:00:01,\d{3}", lines[1])
        and lines[2:5] == ["a", "", "2"]
    )
    assert run("transcribe", recording, "--checkpoint", checkpoint, "--format", "vtt") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["WEBVTT", ""] and "." in lines[2] and lines[3] == "a"


def test_a_broken_file_is_one_line_and_the_others_go_on(
    checkpoint: Path, recording: Path, tmp_path: Path, capsys
) -> None:
    (tmp_path / "bad.wav").write_text("no sound")
    nothing = {"zeros": np.zeros(RATE), "one": np.ones(1), "none": np.zeros(0)}
    for name, samples in nothing.items():
        soundfile.write(tmp_path / f"{name}.wav", samples.astype(np.float32), 44_100)
    soundfile.write(tmp_path / "faint.wav", bursts(seconds=2.0), RATE)
    files = [tmp_path / f"{name}.wav" for name in ("bad", *nothing, "faint", "two")]
    assert run("transcribe", *files, "--checkpoint", checkpoint, "--output", tmp_path / "o") == 1
    lines = capsys.readouterr().err.splitlines()
    errors = [line for line in lines if line.startswith("mmtasks: error: ")]
    assert [Path(line.split(": ")[2]).stem for line in errors] == ["bad", "zeros", "one", "none"]
    assert [line.endswith("no speech found") for line in lines if "s of sound in" in line] == [True, False]
    texts = {path.name: path.read_text() for path in (tmp_path / "o").iterdir()}
    assert texts == {"faint.txt": "", "two.txt": "a\na\n"}


def test_a_file_that_breaks_half_way_leaves_no_transcript_that_looks_whole(
    checkpoint: Path, recording: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speech, "LISTENED", 10.0)
    monkeypatch.setattr(speech_commands, "Transcriber", partial(speech.Transcriber, batch_seconds=1.0))
    samples = np.tile(bursts(1, 4, seconds=6), 7)
    samples[-10] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, RATE, subtype="FLOAT")
    options = ["--checkpoint", checkpoint, "--format", "json", "--output", tmp_path / "o"]
    assert run("transcribe", tmp_path / "nan.wav", recording, *options) == 1
    assert "not numbers" in capsys.readouterr().err
    assert json.loads((tmp_path / "o" / "two.json").read_text())["text"] == "a a"
    [kept] = set((tmp_path / "o").iterdir()) - {tmp_path / "o" / "two.json"}
    assert kept.name == "nan.json.part" and json.loads(kept.read_text())["segments"][0]["text"] == "a"


def stdin(monkeypatch: pytest.MonkeyPatch, samples: np.ndarray) -> None:
    raw = io.BytesIO((samples * 32767).astype("<i2").tobytes())
    monkeypatch.setattr("sys.stdin", type("Stdin", (), {"buffer": raw}))


def test_standard_input_is_heard_as_it_comes(checkpoint: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(monkeypatch, bursts(1, 4, seconds=6))
    assert run("transcribe", "-", "--checkpoint", checkpoint) == 0
    assert capsys.readouterr().out == "a a \n"


def test_what_is_written_while_it_is_spoken_has_no_score(checkpoint: Path, capsys, monkeypatch) -> None:
    stdin(monkeypatch, bursts(1, 4, seconds=6))
    assert run("transcribe", "-", "--checkpoint", checkpoint, "--format", "json") == 0
    segments = json.loads(capsys.readouterr().out)["segments"]
    assert [(segment["text"], segment["score"]) for segment in segments] == [("a", None), ("a", None)]


@pytest.mark.parametrize("rate", [RATE, 44_100])
@pytest.mark.parametrize(("samples", "told"), [(np.zeros(0), "no samples"), (np.zeros(RATE), "only zeros")])
def test_standard_input_of_nothing_is_a_line(
    checkpoint: Path, tmp_path: Path, capsys, monkeypatch, rate: int, samples: np.ndarray, told: str
) -> None:
    stdin(monkeypatch, samples)
    output = tmp_path / "o"
    assert run("transcribe", "-", "--checkpoint", checkpoint, "--rate", rate, "--output", output) == 1
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("mmtasks: error: ")]
    assert len(errors) == 1 and "standard input" in errors[0] and told in errors[0]
    assert not list(output.iterdir())


@pytest.mark.parametrize("source", ["file", "-"])
def test_what_the_grammar_understands_is_a_command(
    checkpoint: Path, recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    content = torch.load(checkpoint, weights_only=True)
    objective = content["mmtasks"]["objectives"]["transcription"]["init_args"]
    for phrasing, expected in (("{what} [b]", {"intent": "do", "slots": {"what": "all"}}), ("b {what}", None)):
        objective["commands"] = {"slots": {"what": {"all": "a"}}, "intents": {"do": [phrasing]}}
        torch.save(content, checkpoint)
        stdin(monkeypatch, bursts(1, 4, seconds=6))
        file = recording if source == "file" else "-"
        assert run("transcribe", file, "--checkpoint", checkpoint, "--format", "json", "--output", tmp_path) == 0
        found = json.loads((tmp_path / ("two.json" if source == "file" else "stdin.json")).read_text())
        assert [segment["text"] for segment in found["segments"]] == ["a", "a"]
        assert [segment.get("command") for segment in found["segments"]] == [expected, expected]


def test_another_grammar_may_be_given(checkpoint: Path, recording: Path, tmp_path: Path, capsys) -> None:
    grammar = tmp_path / "own.yaml"
    grammar.write_text("intents: {wake: [a]}")
    command = ["transcribe", recording, "--checkpoint", checkpoint, "--grammar", grammar]
    assert run(*command, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [segment["command"]["intent"] for segment in found["segments"]] == ["wake", "wake"]
    for options, told in ((["--format", "srt"], "--format json"), (["--grammar", tmp_path / "no"], "no such grammar")):
        assert run(*command, "--format", "json", *options) == 2
        assert told in capsys.readouterr().err


def test_a_full_disk_and_a_closed_pipe_are_no_tracebacks(
    checkpoint: Path, recording: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, status in ((OSError(errno.ENOSPC, "No space left on device"), 1), (BrokenPipeError(), 0)):

        def fail(*_: object, error: OSError = error) -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(transcripts.TextWriter, "add", fail)
            assert run("transcribe", recording, "--checkpoint", checkpoint) == status
        errors = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
        assert len(errors) == status
        assert all(line.startswith(f"mmtasks: error: {recording}: ") and "No space left" in line for line in errors)


def test_a_stop_leaves_what_was_heard(checkpoint: Path, recording: Path, tmp_path: Path, monkeypatch) -> None:
    segments = speech.Transcriber.segments

    def interrupted(self, blocks, detector=None, **others):
        yield next(segments(self, blocks, detector, **others))
        raise KeyboardInterrupt

    monkeypatch.setattr(speech.Transcriber, "segments", interrupted)
    arguments = ["transcribe", recording, "--checkpoint", checkpoint, "--format", "json", "--output", tmp_path]
    assert run(*arguments) == 130
    assert not (tmp_path / "two.json").exists()
    assert json.loads((tmp_path / "two.json.part").read_text())["text"] == "a"


def test_a_stop_ends_what_is_written_while_it_is_spoken(checkpoint: Path, tmp_path: Path, monkeypatch) -> None:
    stdin(monkeypatch, bursts(1, 4, seconds=6))
    heard = streaming.StreamingTranscriber.__call__

    def interrupted(self, blocks):
        yield next(said for said in heard(self, blocks) if said.words)
        raise KeyboardInterrupt

    monkeypatch.setattr(streaming.StreamingTranscriber, "__call__", interrupted)
    arguments = ["transcribe", "-", "--checkpoint", checkpoint, "--format", "json", "--output", tmp_path]
    assert run(*arguments) == 130
    assert json.loads((tmp_path / "stdin.json").read_text())["text"] == "a"


def test_predict_gives_a_text_and_a_score_of_each_row(checkpoint: Path, trained: Path, tmp_path: Path) -> None:
    manifest = trained.parents[1] / "rows.jsonl"
    assert run("predict", "--manifest", manifest, "--checkpoint", checkpoint, "--output", tmp_path / "o.jsonl") == 0
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [row["id"] for row in rows] == ["0", "1", "2", "3"]
    assert all(row["text"] == "a" and -1e-3 < row["score"] <= 0 for row in rows)


def test_predict_gives_nothing_of_a_recording_in_which_nobody_speaks(
    checkpoint: Path, recording: Path, tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "faint.wav", bursts(seconds=2.0), RATE)
    soundfile.write(tmp_path / "zeros.wav", np.zeros(RATE, np.float32), RATE)
    soundfile.write(tmp_path / "long.wav", bursts(seconds=speech_commands.AT_ONCE + 2), RATE)
    rows = [{"id": name, "audio": f"{name}.wav"} for name in ("faint", "two", "zeros", "long")]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    options = ["--checkpoint", checkpoint, "--output", tmp_path / "o.jsonl"]
    assert run("predict", "--manifest", tmp_path / "m.jsonl", *options) == 0
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    empty = [line for line in lines if line["id"] != "two"]
    assert [(line["text"], line["score"]) for line in empty] == [("", None)] * 3
    assert [line["id"] for line in lines] == ["faint", "two", "zeros", "long"] and lines[1]["score"] <= 0


def test_predict_holds_so_many_seconds_and_not_so_many_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_commands, "HELD", 10.0)
    monkeypatch.setattr(speech_commands, "best_detector", EnergyDetector)
    held, parts = [], []

    def loaded():
        for seconds in [4.0] * 5 + [40.0] + [1.0] * 12:
            held.append(seconds)
            yield None, Audio(torch.zeros(int(seconds * 100)), 100)
        yield None, "broken"

    def lines(transcriber, detector, part):
        parts.append([audio if isinstance(audio, str) else audio.seconds for _, audio in part])
        assert held == [audio for part in parts for audio in part][: len(held)]  # none is loaded ahead
        yield from ()

    monkeypatch.setattr(speech_commands, "_lines", lines)
    assert list(speech_commands._predict(None, loaded())) == []
    assert parts == [[4.0] * 3, [4.0, 4.0, 40.0], [1.0] * 10, [1.0, 1.0, "broken"]]


def test_recordings_heard_before_a_stop_are_kept(
    checkpoint: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(speech_commands, "HELD", 0.1)
    parts, lines = [], speech_commands._lines

    def stopped(transcriber, detector, part):
        parts.append(part)
        if len(parts) == 3:
            raise KeyboardInterrupt
        return lines(transcriber, detector, part)

    monkeypatch.setattr(speech_commands, "_lines", stopped)
    manifest = trained.parents[1] / "rows.jsonl"
    assert run("predict", "--manifest", manifest, "--checkpoint", checkpoint, "--output", tmp_path / "o.jsonl") == 130
    assert "2 lines done are kept in" in capsys.readouterr().err
    kept = [json.loads(line) for line in (tmp_path / "o.jsonl.part").read_text().splitlines()]
    assert [row["id"] for row in kept] == ["0", "1"]


def test_a_command_of_another_task_names_the_task(checkpoint: Path, recording: Path, tmp_path: Path, capsys) -> None:
    assert run("match", "x.png", "a", "--checkpoint", checkpoint) == 2
    assert "trained for transcription, not for image-text matching" in capsys.readouterr().err
    content = torch.load(checkpoint, weights_only=True)
    content["mmtasks"]["objectives"] = {}
    torch.save(content, tmp_path / "other.ckpt")
    assert run("transcribe", recording, "--checkpoint", tmp_path / "other.ckpt") == 2
    assert "not for transcription" in capsys.readouterr().err


def test_a_language_model_travels_in_the_checkpoint(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parents[1])
    Path("lm.txt").write_text("a b\nb a\n")
    Path("search.yaml").write_text(SEARCH)
    cli = launch(["fit", "--config", "tiny.yaml", "--config", "search.yaml"])
    Path("lm.txt").unlink()
    last = Path(cli.trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    search = speech.Transcriber(last).objective.search
    assert search.weight == 0.7
    assert search.language_model.score("b", ("<s>", "a")) > search.language_model.score("a", ("<s>", "a"))


def test_files_that_would_overwrite_each_other_are_refused(checkpoint: Path, recording: Path, tmp_path, capsys) -> None:
    assert (
        run("transcribe", recording, tmp_path / "b" / "two.wav", "--checkpoint", checkpoint, "--output", tmp_path) == 2
    )
    assert "two.txt" in capsys.readouterr().err
    assert run("transcribe", recording, recording, "--checkpoint", checkpoint, "--format", "srt") == 2
    assert "--output" in capsys.readouterr().err


def test_a_package_that_the_figures_need_is_missed_before_the_first_step(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(trained.parents[1])
    monkeypatch.setattr("mmtasks.data.whisper_tokenizer.packaged_file", lambda *_: None)
    normaliser.cache_clear()
    option = "--model.init_args.objective.init_args.normaliser=whisper_english"
    assert run("fit", "--config", trained / "config.yaml", option) == 2
    assert "openai-whisper" in capsys.readouterr().err


def test_after_a_test_there_is_a_page(trained: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(trained.parents[1])
    last = trained / "checkpoints" / "last.ckpt"
    assert run("test", "--config", trained / "config.yaml", "--ckpt_path", last) == 0
    printed = capsys.readouterr().out
    [page] = re.findall(r"worst utterances: (\S+)", printed)
    assert Path(page).read_text().count("<audio") == 4
    assert "  said  " in printed and "test/deletions" in printed
