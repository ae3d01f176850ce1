"""Speech-to-text: transcripts from the fused tokens of a recording."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmtasks.config import instantiate
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.heads.ctc import CTCHead, Path, greedy
from mmtasks.losses import ctc
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Facts, Fuse, Heard, Tokens, Word


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
        """Make the head. Reads ``vocab_size``, ``pad_id`` (the blank), ``tokenizer``, and ``token_seconds``."""
        known = facts["transcript"]
        self.blank = known["pad_id"]
        self.token_seconds: float = facts["audio"]["token_seconds"]
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

    @torch.no_grad()
    def decode(self, output: SpeechOutput) -> list[Heard]:
        """What was heard in each recording; an empty text where nothing was."""
        return [self._heard(path) for path in greedy(output.log_probs, output.mask, self.blank)]

    def _heard(self, path: Path) -> Heard:
        words = timed_words(self.tokenizer, path, self.token_seconds)
        return Heard(" ".join(word.text for word in words), path.score, words)

    def metrics(self) -> WordErrors:
        """Word and character errors of a whole set."""
        return WordErrors()

    def update_metrics(self, metrics: WordErrors, output: SpeechOutput, batch: Batch) -> None:
        """Add one batch of transcripts."""
        rows = zip(batch.ids, batch.target["text"], (heard.text for heard in self.decode(output)), strict=True)
        metrics.update([Transcript(*row) for row in rows])

    @torch.no_grad()
    def compute_metrics(self, metrics: Any, fuse: Fuse, *, full: bool) -> dict[str, Tensor]:
        """``wer``, its parts, ``cer``, ``accuracy`` of whole utterances."""
        figures: dict[str, Tensor] = metrics.compute()
        return figures


def timed_words(tokenizer: Tokenizer, path: Path, token_seconds: float) -> list[Word]:
    """The words of a path; one begins at a symbol that stands for a space or starts with one."""
    groups: list[list[int]] = [[]]
    for position, symbol in enumerate(path.ids):
        piece = tokenizer.decode([symbol])
        if piece[:1].isspace():
            groups.append([])
        if piece.strip():
            groups[-1].append(position)
    return [
        Word(
            tokenizer.decode(path.ids[i] for i in group).strip(),
            path.starts[group[0]] * token_seconds,
            path.ends[group[-1]] * token_seconds,
        )
        for group in groups
        if group
    ]
