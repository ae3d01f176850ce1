"""What a trained model makes of a recording: ``python -m activity.recognise --checkpoint C FILE DESCRIPTION …``."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from activity.data import Collate, Window
from activity.objective import ActivityRecognition
from activity.rows import read_motion
from mmtasks.data.clean import clean
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import Model, load, objective_of


@torch.inference_mode()
def recognise(model: Model, steps: np.ndarray, descriptions: Sequence[str], *, rate: float = 50.0) -> list[float]:
    """The probability of each description, given that one of them is right. Steps (T, 6), ``rate`` of them a second."""
    objective = objective_of(model, ActivityRecognition, "activities")
    text = model.processors["text"]
    options = [text(clean(description, text.clean)) for description in descriptions]
    motion = model.processors["motion"](steps, rate=rate)
    batch = Collate(text.facts()["pad_id"])([Window("", motion, options, answer=0, trained=True)])
    scores = objective(model.backbone.encode(batch.inputs), model.backbone.fuse, batch).scores[0]
    found: list[float] = scores.softmax(dim=0).tolist()
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the descriptions, the most probable first; returns the exit status."""
    parser = argparse.ArgumentParser("activity.recognise", description="Which description fits a motion recording?")
    parser.add_argument("file", help=".npy or .csv of (steps, 6): acceleration in m/s², rotation in rad/s")
    parser.add_argument("descriptions", nargs="+", metavar="DESCRIPTION")
    parser.add_argument("--checkpoint", required=True, help="written by `mmtasks fit`")
    parser.add_argument("--rate", type=float, default=50.0, help="steps a second")
    options = parser.parse_args(arguments)
    try:
        steps = read_motion(Path(options.file), options.file)
        shares = recognise(load(options.checkpoint), steps, options.descriptions, rate=options.rate)
    except UserError as error:
        print(f"activity.recognise: error: {error}", file=sys.stderr)
        return 2
    for share, description in sorted(zip(shares, options.descriptions, strict=True), reverse=True):
        print(f"{share:.3f}  {description}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
