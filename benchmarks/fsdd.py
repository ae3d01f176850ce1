"""Spoken digits from scratch: three speakers to learn from, a fourth, never heard, to report on.

The config was chosen with two of the three to learn from and the other to choose by. ``accuracy_speakers_alone`` is of
the same training without the digits that are read by a synthesiser. For scale, ``accuracy_whisper`` is what Whisper
tiny.en, as published, makes of the same recordings: learned from other people's 680,000 hours, and from none of these.
"""

import argparse

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED, percent, train
from mmtasks.tasks.launch import launch

CONFIG = "fsdd+overlays/fsdd_all_speakers"
EPOCHS = 40
"""Without synthetic voices an epoch is less than half as long."""
MODELS = ("from_scratch", "speakers_alone", "whisper")


def main() -> None:
    """Train and test those asked for, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS, help="those to measure, others stay")
    models = parser.parse_args().models
    metrics: dict[str, float] = {}
    if "from_scratch" in models:
        both = train(CONFIG)
        metrics |= percent(both.figures, "accuracy", "wer") | {"minutes": both.minutes}
    if "speakers_alone" in models:
        alone = train(f"{CONFIG}+overlays/fsdd_no_synthesis", f"--trainer.max_epochs={EPOCHS}")
        metrics |= {"accuracy_speakers_alone": percent(alone.figures, "accuracy")["accuracy"]}
    if "whisper" in models:
        metrics |= {"accuracy_whisper": _whisper()}
    write_result("fsdd", metrics, seed=SEED, others_stay=True)


def _whisper() -> float:
    """The percentage of digits that the published model writes, and nothing but the digit, by Whisper's normaliser."""
    few = [f"--data.init_args.{split}.init_args.limit=1" for split in ("train", "val")]
    test = "--data.init_args.test.init_args.path=$MMTASKS_DATA/fsdd/test.jsonl"
    cli = launch(
        ["test", f"--config={CONFIGS}/librispeech_finetune.yaml", test, *few, "--data.init_args.feature_cache=null"]
    )
    return 100 * float(cli.trainer.callback_metrics["test/accuracy"])


if __name__ == "__main__":
    main()
