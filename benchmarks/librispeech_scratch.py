"""Speech-to-text from scratch on three and a half hours: word errors of speakers never heard.

Further options are those of ``mmtasks fit``, as ``--data.init_args.num_workers=4`` where a GPU waits for its batches.
"""

import sys

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train


def main() -> None:
    """Train ``configs/librispeech_scratch.yaml``, write the result."""
    run = train("librispeech_scratch", *sys.argv[1:])
    metrics = percent(run.figures, "wer", "cer") | {"minutes": run.minutes}
    write_result("librispeech_scratch", metrics, seed=SEED, notes={"normaliser": "whisper_english"})


if __name__ == "__main__":
    main()
