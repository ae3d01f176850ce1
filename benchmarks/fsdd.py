"""Spoken digits from scratch: three speakers to learn from, a fourth, never heard, to report on.

The config was chosen with two of the three to learn from and the other to choose by.
"""

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train

EVERYONE = "--data.init_args.train.init_args.speakers=[george, jackson, lucas]"


def main() -> None:
    """Train, test, write the result."""
    trained = train("fsdd", EVERYONE)
    metrics = percent(trained.figures, "accuracy", "wer")
    write_result("fsdd", metrics | {"minutes": trained.minutes}, seed=SEED)


if __name__ == "__main__":
    main()
