"""What the commands of a trained model do, each handed to the task it is of."""

import argparse
from pathlib import Path

from mmtasks.inference import image_text_commands, speech_commands
from mmtasks.inference.checkpoint import load
from mmtasks.inference.image_text_commands import match, search
from mmtasks.inference.output import check_writable
from mmtasks.inference.speech_commands import transcribe
from mmtasks.objectives.speech import Transcription

__all__ = ["match", "predict", "search", "transcribe"]


def predict(options: argparse.Namespace) -> None:
    """What the checkpoint's task says of each row of a manifest, as JSON lines."""
    check_writable(Path(options.output))
    model = load(options.checkpoint, device=options.device)
    speech = any(isinstance(objective, Transcription) for objective in model.objectives.values())
    (speech_commands if speech else image_text_commands).predict(options, model)
