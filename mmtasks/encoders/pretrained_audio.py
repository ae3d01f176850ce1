"""Pretrained encoders of speech around the transformers library."""

import math
from typing import Any, Self

import torch
import torch.nn.functional as F

from mmtasks.encoders.base import Encoder
from mmtasks.encoders.batch_norms import keep_statistics
from mmtasks.encoders.speech_readers import RATE, STRIDE, WaveReader, WhisperReader
from mmtasks.encoders.transformers_model import (
    check_tuning,
    make_model,
    model_width,
    plain_config,
    tune,
)
from mmtasks.errors import UserError
from mmtasks.types import Facts, Modality, Tokens


class PretrainedAudio(Encoder):
    """Whisper's encoder (Radford et al. 2022), wav2vec 2.0 (Baevski et al. 2020), HuBERT or WavLM: a token every 20 ms.

    Args:
        name: name on the model hub, a local folder, or ``package:module`` for an installed package that has
            ``get_model_path()`` or holds a checkpoint of OpenAI's Whisper.
        tuning: ``"frozen"``, ``"full"``, ``"lora"`` (Hu et al. 2022) or how many last layers to train. Batch norms
            stay as pretrained.
        lora_rank: rank of the LoRA matrices.
        silence: seconds of silence after the recording that Whisper's encoder reads too and gives as tokens; None fills
            up to 30 s, as Whisper was trained. Less is quicker, and enough for CTC; Whisper's decoder as published
            then often does not see the end, and repeats itself. The others read none.
        stack: neighbouring tokens that stand side by side as one, which is as many times as wide and as long: less to
            read for what follows, and enough for CTC over characters up to about 2.

    >>> small = {"d_model": 8, "encoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    >>> encoder = PretrainedAudio("openai/whisper-tiny")
    >>> encoder.build({"rate": 16_000, "architecture": {"model_type": "whisper", **small}})
    >>> encoder(Modality(torch.zeros(2, 1600), torch.ones(2, 1600, dtype=torch.bool))).x.shape
    torch.Size([2, 1500, 8])
    """

    def __init__(
        self,
        name: str,
        *,
        tuning: str | int = "frozen",
        lora_rank: int = 8,
        silence: float | None = None,
        stack: int = 1,
    ) -> None:
        super().__init__()
        check_tuning(name, tuning, lora_rank)
        if silence is not None and silence < 0:
            raise ValueError(f"silence {silence} must be at least 0 seconds, or None to fill up to 30")
        if stack < 1:
            raise ValueError(f"stack {stack} must be at least 1 token")
        self.name = name
        self.tuning = tuning
        self.lora_rank = lora_rank
        self.silence = silence
        self.stack = stack
        self.frozen = tuning == "frozen"

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones of that configuration, reading no file.

        Raises:
            UserError: no such model, or the recordings' ``rate`` is not 16 kHz.
        """
        if facts["rate"] != RATE:
            raise UserError(f"{self.name} reads {RATE} samples a second, the data has {facts['rate']}: set audio.rate")
        model = make_model(self.name, facts)
        self.architecture = plain_config(model.config)
        self.width = self.stack * model_width(model.config)
        whisper = model.config.model_type == "whisper"
        self.reader = WhisperReader(model.config, self.silence) if whisper else WaveReader(model.config)
        fills_up = whisper and self.silence is None
        self.window = model.config.max_source_positions * STRIDE / RATE if fills_up else None
        self.model = tune(model.encoder if whisper else model, self.tuning, self.lora_rank)
        self.train(self.training)

    def learned_facts(self) -> dict[str, Any]:
        """The model's configuration, from which ``build`` needs no files, and ``token_seconds``."""
        return {"architecture": self.architecture, "token_seconds": self.stack * STRIDE / RATE}

    def count_tokens(self, positions: int) -> int:
        """Of so many samples, 1 or more, the silence that Whisper reads after them included."""
        return math.ceil(self._count_unstacked(positions) / self.stack)

    def forward(self, modality: Modality) -> Tokens:
        """Samples (B, T) -> Tokens of (B, N, width), one for ``stack`` * 320 samples, zero where padded."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            tokens = self.reader(self.model, modality)
        return _side_by_side(Tokens(tokens.x * tokens.mask[..., None], tokens.mask), self.stack)

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen model and batch norms never enter."""
        super().train(mode and not self.frozen)
        keep_statistics(self)
        return self

    def _count_unstacked(self, positions: int) -> int:
        if isinstance(self.reader, WaveReader):
            return max(0, int(self.model._get_feat_extract_output_lengths(torch.tensor(positions))))
        if self.silence is None:
            return self.reader.window
        tokens = math.ceil(positions / STRIDE) + math.ceil(self.silence * RATE / STRIDE)
        return min(tokens, self.reader.window)


def _side_by_side(tokens: Tokens, count: int) -> Tokens:
    """Tokens (B, N, D) -> (B, ceil(N / count), count * D); zeros beside the last where there are no more."""
    x = F.pad(tokens.x, (0, 0, 0, -tokens.x.shape[1] % count))
    return Tokens(x.unflatten(1, (-1, count)).flatten(2), tokens.mask[:, ::count])
