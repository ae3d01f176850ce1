"""Speech-to-text: transcripts from the fused tokens of a recording."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from mmtasks.config import instantiate
from mmtasks.data.tokenizer import Tokenizer
from mmtasks.errors import UserError
from mmtasks.heads.ctc import CTCHead, Path, align, greedy
from mmtasks.heads.ctc_prefix import PrefixScores
from mmtasks.heads.ctc_search import CTCSearch
from mmtasks.heads.decoder import Decoder
from mmtasks.heads.search import beam_search
from mmtasks.losses import ctc, next_symbol, with_end
from mmtasks.metrics.commands import CommandErrors
from mmtasks.metrics.normalise import check_normaliser
from mmtasks.metrics.words import Transcript, WordErrors
from mmtasks.objectives.base import Objective
from mmtasks.types import Batch, Facts, Fuse, Heard, Tokens, Word
from mmtasks.voice.grammar import Grammar


class SpeechOutput(NamedTuple):
    """What was read of the recordings.

    log_probs: (B, N, V) of a symbol or blank for each token, without CTC None; mask: (B, N); x: (B, N, D), the tokens
    that a decoder reads.
    """

    log_probs: Tensor | None
    mask: Tensor
    x: Tensor | None = None


class Transcription(Objective):
    """CTC, an attention decoder, or both over the tokens of ``audio``, after fusion with all that the backbone encodes.

    Args:
        decoder: writes the text while it reads the tokens; None for CTC alone.
        ctc_weight: of the CTC loss and of CTC in decoding; the decoder counts the rest (Watanabe et al. 2017). By
            default 1 without a decoder and 0 with one.
        label_smoothing: share of the decoder's targets spread over all symbols, 0–1.
        beam: texts that decoding with a decoder follows at once; 1 is greedy.
        dropout: before the CTC head.
        search: how texts are found without a decoder; None for the best symbol of each token.
        normaliser: what both sides go through before words are counted, see ``mmtasks.metrics.normalise``.
        commands: a grammar of voice commands to judge transcripts by: a YAML file, ``home`` for the one that ships, or
            what such a file holds; the checkpoint keeps the whole grammar.
    """

    def __init__(
        self,
        *,
        decoder: Decoder | None = None,
        ctc_weight: float | None = None,
        label_smoothing: float = 0.0,
        beam: int = 1,
        dropout: float = 0.1,
        search: CTCSearch | None = None,
        normaliser: str | None = None,
        commands: str | dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        weight = float(decoder is None) if ctc_weight is None else ctc_weight
        if not 0 <= weight <= 1 or (weight < 1) != (decoder is not None):
            raise ValueError(f"ctc_weight {weight} must be 1 without a decoder, and at least 0 and below 1 with one")
        if not 0 <= label_smoothing < 1:
            raise ValueError(f"label_smoothing {label_smoothing} must be at least 0 and below 1")
        if beam < 1:
            raise ValueError(f"beam {beam} must be at least 1")
        if search is not None and decoder is not None:
            raise ValueError("search is of CTC alone; with a decoder give beam")
        self.decoder = decoder
        self.ctc_weight = weight
        self.label_smoothing = label_smoothing
        self.beam = beam
        self.dropout = dropout
        self.search = search
        self.normaliser = check_normaliser(normaliser)
        self.grammar = None if commands is None else Grammar.read(commands)
        self.commands = self.grammar and self.grammar.plain

    def build(self, dim: int, facts: Facts) -> None:
        """Make the heads. Reads ``vocab_size``, ``pad_id`` (the blank), ``tokenizer``, ``prompted``, ``token_seconds``.

        Raises:
            UserError: the decoder writes no texts as long as the data's.
        """
        known = facts["transcript"]
        self.prompted: bool = known.get("prompted", False)
        self.blank = known["pad_id"]
        self.token_seconds: float = facts["audio"]["token_seconds"]
        self.tokenizer: Tokenizer = instantiate(known["tokenizer"]["config"])
        self.tokenizer.load_state_dict(known["tokenizer"]["state"])
        self.head = CTCHead(dim, known["vocab_size"], dropout=self.dropout) if self.ctc_weight else None
        if self.search is not None:
            self.search.build(known.get("language_model"))
        if self.decoder is not None:
            self.decoder.build(dim, facts)
            longest = self.decoder.max_length
            if known["max_length"] > longest:
                raise UserError(f"text.max_length {known['max_length']}: the decoder writes at most {longest} symbols")

    def learned_facts(self) -> Facts:
        """Those of the decoder; whether there is CTC, and the counts of its language model."""
        facts = {} if self.decoder is None else self.decoder.learned_facts()
        counts = self.search.learned_facts() if self.search is not None else {}
        return {**facts, "transcript": {"ctc": self.ctc_weight > 0, **counts}}

    def forward(self, tokens: dict[str, Tokens], fuse: Fuse, batch: Batch) -> SpeechOutput:
        """Fuse, then a distribution for each token of the recording."""
        fused = fuse(tokens)
        span = fused.spans["audio"]
        x, mask = fused.x[:, span], fused.mask[:, span]
        return SpeechOutput(self.head(x) if self.head else None, mask, x)

    def losses(self, output: SpeechOutput, batch: Batch) -> dict[str, Tensor]:
        """``ctc`` and ``attention``, each for each symbol of the global batch, times its weight."""
        targets, lengths = batch.target["transcript"], batch.target["transcript_length"]
        losses = {}
        if output.log_probs is not None:
            losses["ctc"] = self.ctc_weight * ctc(output.log_probs, output.mask, targets, lengths, self.blank)
        if self.decoder is not None and output.x is not None:
            logits = self.decoder(targets, Tokens(output.x, output.mask))
            ended = with_end(targets, lengths, self.decoder.end)
            losses["attention"] = (1 - self.ctc_weight) * next_symbol(logits, ended, lengths + 1, self.label_smoothing)
        return losses

    @torch.no_grad()
    def decode(self, output: SpeechOutput) -> list[Heard]:
        """What was heard in each recording; an empty text where nothing was."""
        if self.decoder is None:
            assert output.log_probs is not None
            if self.search is not None:
                paths = self.search(output.log_probs, output.mask, self.blank, self.tokenizer)
            else:
                paths = greedy(output.log_probs, output.mask, self.blank)
            return [self._heard(path) for path in paths]
        return self._write(self.decoder, output)

    def _heard(self, path: Path) -> Heard:
        words = timed_words(self.tokenizer, path, self.token_seconds)
        return Heard(" ".join(word.text for word in words), path.score, words)

    def _write(self, decoder: Decoder, output: SpeechOutput) -> list[Heard]:
        """What the decoder writes, with times where there is CTC to find them."""
        assert output.x is not None
        scores = None
        if output.log_probs is not None:
            scores = PrefixScores(output.log_probs, output.mask, blank=self.blank, end=decoder.end)
        memory = Tokens(output.x, output.mask)
        written = beam_search(decoder, memory, beam=self.beam, ctc=scores, ctc_weight=self.ctc_weight)
        heard = []
        for row, (ids, score) in enumerate(written):
            path = None
            if output.log_probs is not None:
                path = align(output.log_probs[row, output.mask[row]], ids, self.blank)
            words = timed_words(self.tokenizer, path, self.token_seconds) if path else []
            heard.append(Heard(" ".join(self.tokenizer.decode(ids).split()), score, words))
        return heard

    def metrics(self) -> WordErrors:
        """Word and character errors of a whole set."""
        if self.grammar is not None:
            return CommandErrors(self.grammar, normaliser=self.normaliser)
        return WordErrors(normaliser=self.normaliser)

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
    """The words of a path; one begins where its symbol is parted by a space from the one before."""
    groups: list[list[int]] = [[]]
    for position, symbol in enumerate(path.ids):
        if position and tokenizer.begins_word(symbol, path.ids[position - 1]):
            groups.append([])
        if tokenizer.decode([symbol]).strip():
            groups[-1].append(position)
    groups = [group for group in groups if group]
    texts = path.words
    if texts is None:
        texts = tuple(tokenizer.decode(path.ids[i] for i in group).strip() for group in groups)
    return [
        Word(text, path.starts[group[0]] * token_seconds, path.ends[group[-1]] * token_seconds)
        for text, group in zip(texts, groups, strict=True)
    ]
