"""After a test, a picture of what was found: the clearest hits and the worst misses."""

from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from mmtasks.inference.pictures import Cell, contact_sheet
from mmtasks.metrics.retrieval import Gallery, Ranked
from mmtasks.tasks.base import TaskModule


class ContactSheet(Callback):
    """Write ``test-queries.png`` into the run's folder: captions with the pictures ranked first.

    A caption is good or bad by how far its own picture scores above or below the best other one.

    Args:
        queries: how many of the best and how many of the worst captions.
        pictures: how many pictures a caption.
    """

    def __init__(self, queries: int = 5, *, pictures: int = 5) -> None:
        self.queries = queries
        self.pictures = pictures

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, in the first process, for every objective that ranks."""
        if not (trainer.is_global_zero and isinstance(pl_module, TaskModule)):
            return
        for name, metrics in pl_module.stage_metrics.items():
            if isinstance(metrics, Gallery) and metrics.ranked is not None:
                dataset = trainer.datamodule.task(name).datasets["test"]  # type: ignore[attr-defined]
                path = Path(trainer.default_root_dir) / "test-queries.png"
                contact_sheet(self._rows(metrics.ranked, dataset), path, columns=self.pictures + 1)
                print(f"best and worst queries: {path}")

    def _rows(self, ranked: Ranked, dataset: Any) -> list[tuple[str, list[Cell]]]:
        scores, positive = ranked.scores.float().cpu(), ranked.positive.cpu()
        own = scores.masked_fill(~positive, -float("inf")).amax(dim=1)
        other = scores.masked_fill(positive, -float("inf")).amax(dim=1)
        order = (own - other).argsort(descending=True).tolist()
        good = min(self.queries, (len(order) + 1) // 2)
        bad = min(self.queries, len(order) - good)
        rank = ((scores >= own[:, None]) & ~positive).sum(dim=1) + 1
        return [
            self._row(ranked, dataset, query, int(rank[query])) for query in [*order[:good], *order[len(order) - bad :]]
        ]

    def _row(self, ranked: Ranked, dataset: Any, query: int, rank: int) -> tuple[str, list[Cell]]:
        """The caption, its own picture with its rank, then the pictures ranked first."""
        owner = dataset.rows[int(ranked.text_index[query])]
        cells: list[Cell] = [(owner.load(), f"its own: rank {rank}")]
        best = ranked.scores[query].topk(min(self.pictures, ranked.scores.shape[1]))
        for place, (score, column) in enumerate(zip(best.values.tolist(), best.indices.tolist(), strict=True), start=1):
            mark = " (right)" if ranked.positive[query, column] else ""
            cells.append((dataset.rows[int(ranked.image_index[column])].load(), f"{place}: {score:.1f}{mark}"))
        return owner.captions[int(ranked.caption_index[query])], cells
