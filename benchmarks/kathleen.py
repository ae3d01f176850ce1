"""One speaker, an hour of her and some more read by espeak-ng, from scratch: word errors of sentences never heard.

With and without the config's search with a language model. ``--gpu`` trains a larger model longer, and its figures end
in ``_gpu``. ``--run`` tests a run that is finished.
"""

import argparse
import time
from pathlib import Path

from benchmarks.result import write_result
from benchmarks.training import SEED, config_files, percent
from mmtasks.data.clean import clean
from mmtasks.data.speech_sources import SpeechManifest
from mmtasks.inference.speech import Transcriber
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.tasks.launch import TIME, launch

LAST = Path("checkpoints", "last.ckpt")
CONFIG, GPU = "kathleen", "kathleen+overlays/kathleen_gpu"
NOTES = {
    "normaliser": "none; both sides in lower case without punctuation but apostrophes",
    "minutes": "from the run's start to its last checkpoint, on as many cores as it had then, with whatever ran beside",
}


def main() -> None:
    """Train, test, write the result; figures of the other model stay."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="the config with configs/overlays/kathleen_gpu.yaml")
    parser.add_argument("--run", type=Path, help="folder of a finished run, instead of training")
    options = parser.parse_args()
    folder = options.run or _train(GPU if options.gpu else CONFIG)
    transcriber = Transcriber(folder / LAST)
    searched = _errors(transcriber)
    transcriber.objective.search = None
    metrics = percent(searched, "wer", "cer") | {"wer_greedy": 100 * _errors(transcriber)["wer"]}
    metrics["minutes"] = _minutes(folder)
    if options.gpu:
        metrics = {f"{name}_gpu": value for name, value in metrics.items()}
    write_result("kathleen", metrics, seed=SEED, notes=NOTES, others_stay=True)


def _train(config: str) -> Path:
    """The run's folder."""
    cli = launch(["fit", *(f"--config={path}" for path in config_files(config)), f"--seed_everything={SEED}"])
    return Path(cli.trainer.default_root_dir)


def _errors(transcriber: Transcriber) -> dict[str, float]:
    """Word and character errors of the sentences to test with."""
    rows = list(SpeechManifest("$MMTASKS_DATA/kathleen/test.jsonl"))
    steps = transcriber.model.processors["transcript"].clean
    heard = transcriber.hear([row.load() for row in rows])
    errors = WordErrors()
    errors.update([Transcript(r.id, clean(r.text, steps), h.text) for r, h in zip(rows, heard, strict=True)])
    return {name: float(value) for name, value in errors.compute().items()}


def _minutes(folder: Path) -> float:
    """From the start of a run, which is in its folder's name, to its last checkpoint."""
    began = time.strptime("-".join(folder.name.split("-")[-2:]), TIME)
    return ((folder / LAST).stat().st_mtime - time.mktime(began)) / 60


if __name__ == "__main__":
    main()
