"""After a test of speech-to-text: the utterances that went wrong, to be read and heard."""

from collections import Counter
from pathlib import Path
from typing import Any

from lightning import Callback, LightningModule, Trainer

from mmtasks.distributed import gather_objects
from mmtasks.inference.utterance_page import aligned_lines, worst, write_page
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.tasks.base import TaskModule


class WorstUtterances(Callback):
    """Write ``test-utterances.html`` into the run's folder: the worst transcripts word by word, with their recordings.

    Args:
        count: how many utterances.
        printed: how many of them are printed as well.
    """

    def __init__(self, count: int = 20, *, printed: int = 5) -> None:
        self.count = count
        self.printed = printed

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """In the first process, of the utterances of all."""
        if not isinstance(pl_module, TaskModule):
            return
        for name, metrics in pl_module.stage_metrics.items():
            if isinstance(metrics, WordErrors):
                transcripts = [t for part in gather_objects(metrics.transcripts) for t in part]
                if trainer.is_global_zero:
                    self._show(transcripts, trainer, trainer.datamodule.task(name))  # type: ignore[attr-defined]

    def _show(self, transcripts: list[Transcript], trainer: Trainer, data: Any) -> None:
        chosen = worst(transcripts, self.count)
        if not chosen:
            print("every utterance of the test was heard without an error")
            return
        for transcript in chosen[: self.printed]:
            print(f"{transcript.id}\n{aligned_lines(transcript)}")
        rows = data.datasets["test"].rows
        counts = Counter(row.id for row in rows)
        known = {row.id: row for row in rows if counts[row.id] == 1}
        path = Path(trainer.default_root_dir) / "test-utterances.html"
        heard = [(t, known[t.id].load() if t.id in known else None) for t in chosen]
        write_page(path, "Worst utterances", heard)
        print(f"worst utterances: {path}")
