"""Films and small models of summaries, for tests of the commands."""

from pathlib import Path

import numpy as np
import pytest

from mmtasks.tasks.launch import launch
from tests.clips import write_clip

ENCODER = {
    "class_path": "mmtasks.encoders.resnet.ResNetEncoder",
    "init_args": {"layers": [1], "base_width": 8, "stem": "small", "positions": False, "frozen": True},
}
CONFIG = """
model:
  class_path: mmtasks.tasks.summary.VideoSummarization
  init_args:
    backbone:
      class_path: mmtasks.backbone.Backbone
      init_args:
        dim: 8
        encoders:
          video: {class_path: mmtasks.encoders.video.VideoEncoder, init_args: {dim: 8}}
TEXT
        fusion: {class_path: mmtasks.fusion.mman.MMAN}
    objective: {class_path: mmtasks.objectives.summary.SummaryScoring}
data:
  class_path: mmtasks.data.summary.SummaryDataModule
  init_args:
    train: &rows {class_path: mmtasks.data.summary_h5.SummaryH5, init_args: {path: features.h5}}
    val: *rows
PROCESSOR
trainer: {max_epochs: 1, enable_progress_bar: false, accelerator: cpu}
"""
TEXT = "          text: {class_path: mmtasks.encoders.text.BagOfWords, init_args: {dim: 8}}"
SOUND = "          sound: {class_path: mmtasks.encoders.video.VideoEncoder, init_args: {dim: 8}}"
PROCESSOR = """
    text:
      class_path: mmtasks.data.text.TextProcessor
      init_args: {tokenizer: {class_path: mmtasks.data.tokenizer.WordTokenizer}}
"""


def film(path: Path, seed: int, *, sound: bool = False) -> Path:
    """Ten seconds of shots of a second each, every shot a texture of its own."""
    rng = np.random.default_rng(seed)
    textures = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(10)]
    return write_clip(path, [texture for texture in textures for _ in range(10)], sound=sound)


def trained(folder: Path, *, text: bool, sound: bool = False) -> Path:
    """The checkpoint of an epoch on ``features.h5`` of the folder."""
    encoders = (TEXT if text else "") + (SOUND if sound else "")
    options = (PROCESSOR if text else "") + ("    sound: true" if sound else "")
    config = CONFIG.replace("TEXT", encoders).replace("PROCESSOR", options)
    (folder / "tiny.yaml").write_text(config)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        cli = launch(["fit", "--config", "tiny.yaml"])
    return folder / cli.trainer.default_root_dir / "checkpoints" / "last.ckpt"
