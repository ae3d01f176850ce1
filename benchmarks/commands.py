"""The spoken world: voice commands transcribed and understood, by voices and of sentences that training never had."""

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train


def main() -> None:
    """Train, test, write the result."""
    trained = train("commands")
    metrics = percent(trained.figures, "wer", "cer", "accuracy", "command_accuracy")
    write_result("commands", metrics | {"minutes": trained.minutes}, seed=SEED)


if __name__ == "__main__":
    main()
