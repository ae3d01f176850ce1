"""Drawn films: τ with viewers of films never seen, and what is left of it without the title, or with another."""

from typing import cast

import torch
from torch.utils.data import DataLoader

from benchmarks.result import write_result
from benchmarks.training import SEED, train
from mmtasks.data.films.source import Films
from mmtasks.data.summary import SummaryDataModule
from mmtasks.data.summary_dataset import Collate, SummaryDataset
from mmtasks.tasks.trained import Trained


def main() -> None:
    """Train, test with the right titles, with none and with those of the other kind of events; write the result."""
    trained = train("films")
    metrics = {name: trained.figures[name] for name in ("tau", "rho")}
    metrics |= {"tau_no_title": _tau(trained, "none"), "tau_swapped_title": _tau(trained, "swapped")}
    write_result("films", metrics | {"minutes": trained.minutes}, seed=SEED)


@torch.inference_mode()
def _tau(trained: Trained, titles: str) -> float:
    """On the test films, with other titles than their own."""
    task, data = trained.task.eval(), cast(SummaryDataModule, trained.data)
    text, films = data.text, cast(Films, data.sources["test"])
    rows = list(Films(films.split, number=films.number, size=films.size, seed=films.seed, titles=titles))
    objective = task.objectives["summary"]
    metrics = objective.metrics()
    for batch in DataLoader(SummaryDataset(rows, text), batch_size=8, collate_fn=Collate(text.facts()["pad_id"])):
        objective.update_metrics(
            metrics, objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch), batch
        )
    return float(metrics.compute()["tau"])


if __name__ == "__main__":
    main()
