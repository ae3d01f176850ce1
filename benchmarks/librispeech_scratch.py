"""Speech-to-text from scratch on three and a half hours: word errors of speakers never heard."""

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train


def main() -> None:
    """Train ``configs/librispeech_scratch.yaml``, write the result."""
    run = train("librispeech_scratch")
    metrics = percent(run.figures, "wer", "cer") | {"minutes": run.minutes}
    write_result("librispeech_scratch", metrics, seed=SEED, notes={"normaliser": "whisper_english"})


if __name__ == "__main__":
    main()
