"""Speech-to-text: transcripts from the fused tokens of a recording."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmtasks.config import instantiate
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.heads.ctc import CTCHead, greedy
from mmtasks.losses import ctc
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Facts, Fuse, Tokens


class SpeechOutput(NamedTuple):
    """log_probs: (B, N, V) of a symbol or blank for each token; mask: (B, N)."""

    log_probs: Tensor
    mask: Tensor


class Transcription(Objective):
    """CTC over the tokens of ``audio``, after fusion with every other modality that the backbone encodes.

    Args:
        dropout: before the CTC head.
    """

    def __init__(self, *, dropout: float = 0.1) -> None:
        super().__init__()
        self.dropout = dropout

    def build(self, dim: int, facts: Facts) -> None:
        """Make the head. Reads the facts of ``transcript``: ``vocab_size``, ``pad_id`` (the blank), ``tokenizer``."""
        known = facts["transcript"]
        self.blank = known["pad_id"]
        self.tokenizer: Tokenizer = instantiate(known["tokenizer"]["config"])
        self.tokenizer.load_state_dict(known["tokenizer"]["state"])
        self.head = CTCHead(dim, known["vocab_size"], dropout=self.dropout)

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> SpeechOutput:
        """Fuse, then a distribution for each token of the recording."""
        fused = fuse(tokens)
        span = fused.spans["audio"]
        return SpeechOutput(self.head(fused.x[:, span]), fused.mask[:, span])

    def losses(self, output: SpeechOutput, batch: Batch) -> dict[str, Tensor]:
        """CTC for each symbol of the global batch."""
        targets, lengths = batch.target["transcript"], batch.target["transcript_length"]
        return {"ctc": ctc(output.log_probs, output.mask, targets, lengths, self.blank)}

    def transcribe(self, output: SpeechOutput) -> list[str]:
        """The text of each recording; empty where nothing was heard."""
        found = greedy(output.log_probs, output.mask, self.blank)
        return [" ".join(self.tokenizer.decode(ids).split()) for ids in found]

    def metrics(self) -> WordErrors:
        """Word and character errors of a whole set."""
        return WordErrors()

    def update_metrics(self, metrics: WordErrors, output: SpeechOutput, batch: Batch) -> None:
        """Add one batch of transcripts."""
        rows = zip(batch.ids, batch.target["text"], self.transcribe(output), strict=True)
        metrics.update([Transcript(*row) for row in rows])

    @torch.no_grad()
    def compute_metrics(self, metrics: Any, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        """``wer``, its parts, ``cer``, ``accuracy`` of whole utterances."""
        figures: dict[str, Tensor] = metrics.compute()
        return figures
