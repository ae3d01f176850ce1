"""Whisper tiny.en on unheard speakers: as published, tuned in two ways, and its frozen encoder under fusion and CTC.

The minutes include the encoder's features, which every run computes into an empty cache.
"""

import tempfile

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED, Trained, train
from mmtasks.tasks.launch import launch

FINETUNE = "librispeech_finetune"
LORA = [
    "--model.init_args.objective.init_args.decoder.init_args.tuning=lora",
    "--model.init_args.optimization.init_args.lr=5.0e-4",
]


def main() -> None:
    """Test the published model, train the three others, write the result."""
    with tempfile.TemporaryDirectory() as cache:
        metrics = {"wer_zero_shot": 100 * _zero_shot(cache)}
    for name, run in (
        ("finetuned", _trained(FINETUNE)),
        ("lora", _trained(FINETUNE, *LORA)),
        ("frozen_ctc", _trained("librispeech_whisper")),
    ):
        metrics |= {f"wer_{name}": 100 * run.figures["wer"], f"minutes_{name}": run.minutes}
    write_result("librispeech_whisper", metrics, seed=SEED, notes={"normaliser": "whisper_english"})


def _zero_shot(cache: str) -> float:
    cli = launch(["test", f"--config={CONFIGS / FINETUNE}.yaml", f"--data.init_args.feature_cache={cache}"])
    return float(cli.trainer.callback_metrics["test/wer"])


def _trained(config: str, *options: str) -> Trained:
    with tempfile.TemporaryDirectory() as cache:
        return train(config, f"--data.init_args.feature_cache={cache}", *options)


if __name__ == "__main__":
    main()
