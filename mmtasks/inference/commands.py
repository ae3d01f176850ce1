"""What the commands of a trained model do, each handed to the task it is of."""

import argparse
from pathlib import Path

from mmtasks.errors import UserError
from mmtasks.inference import image_text_commands, speech_commands, summary_commands
from mmtasks.inference.checkpoint import load
from mmtasks.inference.image_text_commands import match, search
from mmtasks.inference.output import check_writable
from mmtasks.inference.prepare_video import prepare
from mmtasks.inference.speech_commands import transcribe
from mmtasks.inference.summary_commands import summarize
from mmtasks.objectives.speech import Transcription
from mmtasks.objectives.summary import SummaryScoring

__all__ = ["match", "predict", "prepare", "search", "summarize", "transcribe"]

PREDICTIONS = {Transcription: speech_commands.predict, SummaryScoring: summary_commands.predict}
"""By the objective; every other checkpoint ranks images and captions, or says that it cannot."""


def predict(options: argparse.Namespace) -> None:
    """What the checkpoint's task says of each row of a manifest, as JSON lines."""
    check_writable(Path(options.output))
    model = load(options.checkpoint, device=options.device)
    made = [by for kind, by in PREDICTIONS.items() if any(isinstance(o, kind) for o in model.objectives.values())]
    if options.h5 is not None and summary_commands.predict not in made:
        raise UserError(f"{options.checkpoint}: reads no features of videos; give --manifest instead of --h5")
    (made[0] if made else image_text_commands.predict)(options, model)
