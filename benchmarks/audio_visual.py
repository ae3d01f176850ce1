"""Commands in noise 5 dB louder than the voice: word errors with films of the mouth, without them, and with none ever.

The same 200 test utterances of unseen voices, mouths and sentences each time; both models train as long.
"""

import argparse
from dataclasses import replace
from statistics import fmean, stdev
from typing import cast

import torch

from benchmarks.result import write_result
from benchmarks.training import percent, train
from mmtasks.data.speech import SpeechDataModule
from mmtasks.tasks.trained import Trained

NOTES = {
    "wer_audio": "trained and tested without films",
    "wer_both": "trained with films, of which modality dropout takes a share; tested with them",
    "wer_both_without_video": "the same model, tested without them",
}
Figures = dict[str, float]


def main() -> None:
    """Train both models with every seed; write means and deviations, from the second seed on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    runs: list[Figures] = []
    for seed in seeds:
        runs.append(_compare(seed))
        print(runs[-1])
        if len(runs) > 1:
            _write(runs, seeds[: len(runs)])


def _compare(seed: int) -> Figures:
    """Both models with one seed."""
    alone = train("audio_visual+overlays/sound_only", seed=seed)
    both = train("audio_visual", seed=seed)
    return {
        "wer_audio": percent(alone.figures, "wer")["wer"],
        "wer_both": percent(both.figures, "wer")["wer"],
        "wer_both_without_video": 100 * _without_video(both),
        "minutes_audio": alone.minutes,
        "minutes_both": both.minutes,
    }


def _write(runs: list[Figures], seeds: list[int]) -> None:
    metrics = {name: fmean(run[name] for run in runs) for name in runs[0]}
    metrics |= {f"{name}_sd": stdev(run[name] for run in runs) for name in runs[0] if name.startswith("wer")}
    notes = {"seeds": " ".join(map(str, seeds)), **NOTES}
    write_result("audio_visual", metrics, seed=seeds[0], notes=notes)


@torch.inference_mode()
def _without_video(trained: Trained) -> float:
    """Word error rate where every film of the test is missing."""
    task, dataset = trained.task.eval(), cast(SpeechDataModule, trained.data).datasets["test"]
    dataset.rows = [replace(row, film=None) for row in dataset.rows]
    objective = task.objectives["transcription"]
    metrics = objective.metrics()
    for batch in trained.data.test_dataloader():
        output = objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch)
        objective.update_metrics(metrics, output, batch)
    return float(metrics.compute()["wer"])


if __name__ == "__main__":
    main()
