"""What the commands of a trained model do, each handed to the task it is of."""

import argparse
from collections.abc import Callable
from pathlib import Path

from mmtasks.data.manifest import read_rows
from mmtasks.errors import UserError
from mmtasks.inference import image_text_commands, speech_commands, summary_commands
from mmtasks.inference.checkpoint import Model, load
from mmtasks.inference.image_text_commands import match, search
from mmtasks.inference.output import check_kept, check_writable
from mmtasks.inference.prepare_video import prepare
from mmtasks.inference.speech_commands import transcribe
from mmtasks.inference.summary_commands import summarize
from mmtasks.objectives.base import Objective
from mmtasks.objectives.image_text import ImageText
from mmtasks.objectives.speech import Transcription
from mmtasks.objectives.summary import SummaryScoring

__all__ = ["match", "predict", "prepare", "search", "summarize", "transcribe"]

PREDICTIONS: dict[str, tuple[type[Objective], Callable[[argparse.Namespace, Model], None]]] = {
    "image": (ImageText, image_text_commands.predict),
    "audio": (Transcription, speech_commands.predict),
    "video": (SummaryScoring, summary_commands.predict),
}
"""By the column of a manifest: the objective that reads it, and what writes down what it says."""


def predict(options: argparse.Namespace) -> None:
    """What the checkpoint's task says of each row of a manifest, as JSON lines."""
    check_writable(Path(options.output))
    check_kept(Path(options.output), options.manifest, options.h5, options.checkpoint)
    model = load(options.checkpoint, device=options.device, objectives=options.objectives)
    column = _column(options, model)
    PREDICTIONS[column][1](options, model)


def _column(options: argparse.Namespace, model: Model) -> str:
    """Which column the prediction is of; where a model has several tasks and none is named, the file says it.

    Raises:
        UserError: no task of the model reads such a file.
    """
    served = [
        column
        for column, (kind, _) in PREDICTIONS.items()
        if any(isinstance(objective, kind) for objective in model.objectives.values())
    ]
    if options.h5 is not None and "video" not in served:
        raise UserError(f"{options.checkpoint}: reads no features of videos; give --manifest instead of --h5")
    if options.h5 is not None:
        return "video"
    if len(served) == 1:
        return served[0]
    if not served:
        raise UserError(f"{options.checkpoint}: trained for {', '.join(model.objectives)}, which predict does not know")
    present = [column for column in served if any(column in row for _, row in read_rows(options.manifest))]
    if not present:
        columns = ", ".join(served)
        raise UserError(f"{options.manifest}: give one of the columns {columns} to predict for; it has none of them")
    if len(present) > 1:
        columns, names = ", ".join(present), ", ".join(model.objectives)
        raise UserError(f"{options.manifest}: has the columns {columns}; say with --objective for which of {names}")
    return present[0]
