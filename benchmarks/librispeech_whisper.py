"""Whisper tiny.en on unheard speakers: as published, tuned in two ways, and its frozen encoder under fusion and CTC.

The encoder's features are in the minutes of all. Those of whole windows are computed once, into an empty cache, when
the published model is tested, and it then writes what it hears of the training recordings, whose style the texts for
tuning get; all of that time counts in full for both that are tuned, also where ``--cache`` has it from an earlier run.
"""

import argparse
import hashlib
import json
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch.cli import LightningCLI

from benchmarks.result import versions, write_result
from benchmarks.training import CONFIGS, SEED, Trained, train
from mmtasks.tasks.launch import launch

FINETUNE = "librispeech_finetune"
RESTYLED = f"{FINETUNE}+overlays/finetune_restyled"
TUNED: dict[str, list[str]] = {
    "finetuned": [],
    "lora": [
        "--model.init_args.objective.init_args.decoder.init_args.tuning=lora",
        "--model.init_args.optimization.init_args.lr=1.0e-4",
    ],
}
HEARD = "heard.jsonl"
MODELS = ["zero_shot", *TUNED, "frozen_ctc"]


def main() -> None:
    """Test the published model, train the three others, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, default=MODELS, help="those to measure, others stay; default all"
    )
    parser.add_argument("--cache", type=Path, help="keeps what the published model makes of the recordings")
    options = parser.parse_args()
    models = options.models
    metrics: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as empty:
        if set(models) - {"frozen_ctc"}:
            tuned = [name for name in TUNED if name in models]
            metrics |= _whole_models(tuned, options.cache or Path(empty, "windows"))
        if "frozen_ctc" in models:
            metrics |= _figures("frozen_ctc", train("librispeech_whisper", _cached(Path(empty, "frozen"))))
    notes = {"normaliser": "whisper_english"}
    write_result("librispeech_whisper", metrics, seed=SEED, notes=notes, others_stay=True)


def _whole_models(tuned: list[str], cache: Path) -> dict[str, float]:
    """Figures of the published model, and of those tuned on its features in the style of its texts."""
    published, minutes = _published(cache)
    metrics = {"wer_zero_shot": published}
    for name in tuned:
        texts = f"--data.init_args.train.init_args.heard={cache / HEARD}"
        metrics |= _figures(name, train(RESTYLED, _cached(cache), texts, *TUNED[name]), minutes)
    return metrics


def _published(cache: Path) -> tuple[float, float]:
    """Word errors of the published model, and the minutes it took to test it and to write what it hears."""
    done, made_by = cache / "done.json", _made_by()
    if done.is_file():
        errors, minutes, before = json.loads(done.read_text())
        if before != made_by:
            raise SystemExit(f"{cache}: made by another config or other versions; delete it, or give another --cache")
        return errors, minutes
    if cache.is_dir() and any(cache.iterdir()):
        raise SystemExit(f"{cache}: holds something else, or was not finished; delete it, or give another --cache")
    start = time.perf_counter()
    cli = launch(["test", f"--config={CONFIGS / FINETUNE}.yaml", _cached(cache)])
    errors = 100 * float(cli.trainer.callback_metrics["test/wer"])
    _write_heard(cli, cache / HEARD)
    minutes = (time.perf_counter() - start) / 60
    done.write_text(json.dumps([errors, minutes, made_by]))
    return errors, minutes


def _made_by() -> str:
    """Changes with the config and with what computes."""
    config = (CONFIGS / f"{FINETUNE}.yaml").read_text()
    return hashlib.sha256(json.dumps([config, versions()]).encode()).hexdigest()


@torch.inference_mode()
def _write_heard(cli: LightningCLI, path: Path) -> None:
    """What the model hears of the training recordings, as ``mmtasks predict`` would write it."""
    task, objective = cli.model.eval(), cli.model.objective
    with path.open("w", encoding="utf-8") as file:
        for batch in cli.datamodule.loader("train", shuffle=False):
            output = objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch)
            for name, heard in zip(batch.ids, objective.decode(output), strict=True):
                file.write(json.dumps({"id": name, "text": heard.text}) + "\n")


def _cached(folder: Path) -> str:
    return f"--data.init_args.feature_cache={folder}"


def _figures(name: str, run: Trained, before: float = 0.0) -> dict[str, float]:
    """Word errors in percent, and the minutes with those ``before`` the run."""
    return {f"wer_{name}": 100 * run.figures["wer"], f"minutes_{name}": before + run.minutes}


if __name__ == "__main__":
    main()
