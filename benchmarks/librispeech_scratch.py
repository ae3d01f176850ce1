"""Speech-to-text from scratch on three and a half hours: word errors of speakers never heard.

CTC finds no first sound in sentences of a quarter of a minute, so that the backbone learns for an epoch of
``configs/kathleen.yaml``, from sentences of three seconds, before. Further options are those of ``mmtasks fit``, as
``--data.init_args.num_workers=4`` where a GPU waits for its batches.
"""

import sys
import time
from pathlib import Path

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED, percent, train
from mmtasks.tasks.launch import launch

FIRST = ["--trainer.max_epochs=1", "--trainer.limit_val_batches=0", f"--seed_everything={SEED}"]


def main() -> None:
    """Train ``configs/librispeech_scratch.yaml``, write the result."""
    start = time.perf_counter()
    first = launch(["fit", f"--config={CONFIGS / 'kathleen.yaml'}", *FIRST])
    before = (time.perf_counter() - start) / 60
    checkpoint = Path(first.trainer.default_root_dir) / "checkpoints" / "last.ckpt"
    run = train("librispeech_scratch", f"--init_backbone_from={checkpoint}", *sys.argv[1:])
    metrics = percent(run.figures, "wer", "cer") | {"minutes": before + run.minutes}
    write_result("librispeech_scratch", metrics, seed=SEED, notes={"normaliser": "whisper_english"})


if __name__ == "__main__":
    main()
