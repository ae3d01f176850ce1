"""Commands in noise 5 dB louder than the voice: word errors with films of the mouth, without them, and with none ever.

The same 200 test utterances of unseen voices, mouths and sentences each time; both models train as long.
"""

import statistics
from dataclasses import replace

import torch

from benchmarks.result import write_result
from benchmarks.training import percent, train
from mmtasks.tasks.trained import Trained

SEEDS = (0, 1, 2)
NOTES = {
    "seeds": f"{', '.join(map(str, SEEDS))}; sd: between them",
    "wer_audio": "trained and tested without films",
    "wer_both": "trained with films, of which modality dropout takes a share; tested with them",
    "wer_both_without_video": "the same model, tested without them",
}


def main() -> None:
    """Train both models with every seed; write means and deviations."""
    figures: dict[str, list[float]] = {name: [] for name in ("wer_audio", "wer_both", "wer_both_without_video")}
    minutes: dict[str, list[float]] = {"minutes_audio": [], "minutes_both": []}
    for seed in SEEDS:
        alone = train("audio_visual+overlays/sound_only", seed=seed)
        both = train("audio_visual", seed=seed)
        figures["wer_audio"].append(percent(alone.figures, "wer")["wer"])
        figures["wer_both"].append(percent(both.figures, "wer")["wer"])
        figures["wer_both_without_video"].append(100 * _without_video(both))
        minutes["minutes_audio"].append(alone.minutes)
        minutes["minutes_both"].append(both.minutes)
    metrics = {name: statistics.fmean(found) for name, found in {**figures, **minutes}.items()}
    metrics |= {f"{name}_sd": statistics.stdev(found) for name, found in figures.items()}
    write_result("audio_visual", metrics, seed=SEEDS[0], notes=NOTES)


@torch.inference_mode()
def _without_video(trained: Trained) -> float:
    """Word error rate where every film of the test is missing."""
    task, dataset = trained.task.eval(), trained.data.datasets["test"]
    dataset.rows = [replace(row, film=None) for row in dataset.rows]
    objective = task.objectives["transcription"]
    metrics = objective.metrics()
    for batch in trained.data.test_dataloader():
        output = objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch)
        objective.update_metrics(metrics, output, batch)
    return float(metrics.compute()["wer"])


if __name__ == "__main__":
    main()
