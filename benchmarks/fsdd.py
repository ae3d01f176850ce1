"""Spoken digits from scratch: three speakers to learn from, a fourth, never heard, to report on.

The config was chosen with two of the three to learn from and the other to choose by. ``accuracy_speakers_alone`` is of
the same training without the digits that are read by a synthesiser.
"""

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train

CONFIG = "fsdd+overlays/fsdd_all_speakers"
EPOCHS = 40
"""Without synthetic voices an epoch is less than half as long."""


def main() -> None:
    """Train both, test, write the result."""
    both = train(CONFIG)
    alone = train(f"{CONFIG}+overlays/fsdd_no_synthesis", f"--trainer.max_epochs={EPOCHS}")
    more = {"minutes": both.minutes, "accuracy_speakers_alone": percent(alone.figures, "accuracy")["accuracy"]}
    write_result("fsdd", percent(both.figures, "accuracy", "wer") | more, seed=SEED)


if __name__ == "__main__":
    main()
