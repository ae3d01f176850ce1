"""One speaker, an hour of her and much more read by espeak-ng, from scratch: word errors of sentences never heard.

How much the language model counts is chosen on dev, once the model is trained.
"""

import itertools
import time

import torch

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED, percent
from mmtasks.objectives.speech import SpeechOutput, Transcription
from mmtasks.tasks.base import TaskModule
from mmtasks.tasks.launch import launch
from mmtasks.types import Batch

WEIGHTS, BONUSES = (0.2, 0.35, 0.5, 0.7), (0.0, 1.0, 2.0)
NOTES = {"normaliser": "none; both sides in lower case without punctuation"}

Heard = list[tuple[SpeechOutput, Batch]]


def main() -> None:
    """Train ``configs/kathleen.yaml``, choose on dev, test, write the result."""
    start = time.perf_counter()
    cli = launch(["fit", f"--config={CONFIGS / 'kathleen.yaml'}", f"--seed_everything={SEED}"])
    metrics = {"minutes": (time.perf_counter() - start) / 60}
    objective = cli.model.objective
    test = _heard(cli.model, cli.datamodule.test_dataloader())
    search, objective.search = objective.search, None
    metrics["wer_greedy"] = 100 * _errors(objective, test)["wer"]
    objective.search = search
    dev = _heard(cli.model, cli.datamodule.val_dataloader())
    metrics["wer_dev"], search.weight, search.bonus = _choose(objective, dev)
    metrics |= percent(_errors(objective, test), "wer", "cer")
    chosen = f"language model's weight {search.weight}, bonus {search.bonus} a word, of {WEIGHTS} x {BONUSES}"
    write_result("kathleen", metrics, seed=SEED, notes={**NOTES, "chosen_on_dev": chosen})


@torch.inference_mode()
def _heard(task: TaskModule, batches: "torch.utils.data.DataLoader[Batch]") -> Heard:
    """What the model makes of each token."""
    task.eval()
    outputs = []
    for batch in batches:
        for objective in task.objectives.values():
            outputs.append((objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch), batch))
    return outputs


def _choose(objective: Transcription, dev: Heard) -> tuple[float, float, float]:
    """The fewest word errors in percent, and the weight and bonus that gave them."""
    assert objective.search is not None
    found = []
    for weight, bonus in itertools.product(WEIGHTS, BONUSES):
        objective.search.weight, objective.search.bonus = weight, bonus
        found.append((100 * _errors(objective, dev)["wer"], weight, bonus))
        print(f"weight {weight}, bonus {bonus}: {found[-1][0]:.2f} % on dev")
    return min(found)


def _errors(objective: Transcription, heard: Heard) -> dict[str, float]:
    metrics = objective.metrics()
    for output, batch in heard:
        objective.update_metrics(metrics, output, batch)
    return {name: float(value) for name, value in metrics.compute().items()}


if __name__ == "__main__":
    main()
