"""Whisper tiny.en on unheard speakers: as published, tuned in two ways, and its frozen encoder under fusion and CTC.

The encoder's features are in the minutes of all. Those of whole windows are computed once, into an empty cache, when
the published model is tested, and it then writes what it hears of the training recordings, whose style the texts for
tuning get; all of that time counts in full for both that are tuned.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch.cli import LightningCLI

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED, Trained, train
from mmtasks.tasks.launch import launch

FINETUNE = "librispeech_finetune"
RESTYLED = f"{FINETUNE}+overlays/finetune_restyled"
TUNED: dict[str, list[str]] = {
    "finetuned": [],
    "lora": [
        "--model.init_args.objective.init_args.decoder.init_args.tuning=lora",
        "--model.init_args.optimization.init_args.lr=3.0e-4",
    ],
}
MODELS = ["zero_shot", *TUNED, "frozen_ctc"]


def main() -> None:
    """Test the published model, train the three others, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="those to measure; default all")
    models = parser.parse_args().models
    metrics: dict[str, float] = {}
    if set(models) - {"frozen_ctc"}:
        metrics |= _whole_models([name for name in TUNED if name in models])
    if "frozen_ctc" in models:
        with tempfile.TemporaryDirectory() as cache:
            metrics |= _figures("frozen_ctc", train("librispeech_whisper", _cached(cache)))
    write_result("librispeech_whisper", metrics, seed=SEED, notes={"normaliser": "whisper_english"})


def _whole_models(tuned: list[str]) -> dict[str, float]:
    """Figures of the published model, and of those tuned on its features in the style of its texts."""
    with tempfile.TemporaryDirectory() as cache:
        start = time.perf_counter()
        kept = _cached(cache) if tuned else "--data.init_args.feature_cache=null"
        cli = launch(["test", f"--config={CONFIGS / FINETUNE}.yaml", kept])
        metrics = {"wer_zero_shot": 100 * float(cli.trainer.callback_metrics["test/wer"])}
        if not tuned:
            return metrics
        heard = Path(cache) / "heard.jsonl"
        _write_heard(cli, heard)
        minutes = (time.perf_counter() - start) / 60
        texts = f"--data.init_args.train.init_args.heard={heard}"
        for name in tuned:
            metrics |= _figures(name, train(RESTYLED, kept, texts, *TUNED[name]), minutes)
    return metrics


@torch.inference_mode()
def _write_heard(cli: LightningCLI, path: Path) -> None:
    """What the model hears of the training recordings, as ``mmtasks predict`` would write it."""
    task, objective = cli.model.eval(), cli.model.objective
    with path.open("w", encoding="utf-8") as file:
        for batch in cli.datamodule.loader("train", shuffle=False):
            output = objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch)
            for name, heard in zip(batch.ids, objective.decode(output), strict=True):
                file.write(json.dumps({"id": name, "text": heard.text}) + "\n")


def _cached(folder: str) -> str:
    return f"--data.init_args.feature_cache={folder}"


def _figures(name: str, run: Trained, before: float = 0.0) -> dict[str, float]:
    """Word errors in percent, and the minutes with those ``before`` the run."""
    return {f"wer_{name}": 100 * run.figures["wer"], f"minutes_{name}": before + run.minutes}


if __name__ == "__main__":
    main()
