"""The likeliest texts that a decoder can write, alone or together with CTC."""

from typing import NamedTuple

import torch
from torch import Tensor

from mmtasks.heads.ctc_prefix import Prefixes, PrefixScores
from mmtasks.heads.decoder import Decoder
from mmtasks.types import Tokens


class Written(NamedTuple):
    """A text. score: mean log probability of a symbol, the end included."""

    ids: list[int]
    score: float


@torch.no_grad()
def beam_search(
    decoder: Decoder, memory: Tokens, *, beam: int = 1, ctc: PrefixScores | None = None, ctc_weight: float = 0.0
) -> list[Written]:
    """The best text of each recording, by the mean log probability of its symbols; an empty one where nothing is real.

    A text has at most as many symbols as its recording has tokens. With ``ctc``, its score of a text counts
    ``ctc_weight`` and the decoder's the rest (Watanabe et al. 2017).

    Args:
        decoder: writes the texts.
        memory: tokens (B, N, D) of the recordings.
        beam: texts that are followed at once; 1 is greedy.
        ctc: scores of the same recordings.
        ctc_weight: from 0 to below 1.
    """
    search = _Search(decoder, memory, beam, ctc, ctc_weight)
    while search.alive.any():
        search.advance()
    return [max(found, key=lambda text: text.score, default=Written([], 0.0)) for found in search.finished]


class _Search:
    """K rows for each of B recordings that are followed, all written equally far: ids (B * K, L).

    written (B * K,): the decoder's log probability; total (B * K,): with that of CTC; samples (B,): which of all
    recordings; finished: ended texts of each of all.
    """

    def __init__(
        self, decoder: Decoder, memory: Tokens, beam: int, ctc: PrefixScores | None, ctc_weight: float
    ) -> None:
        self.decoder, self.beam, self.ctc, self.ctc_weight = decoder, beam, ctc, ctc_weight
        self.limit = memory.mask.sum(dim=1).clamp(max=decoder.max_length)
        self.alive = self.limit > 0
        self.finished: list[list[Written]] = [[] for _ in memory.x]
        self.samples = torch.arange(len(memory.x))
        rows = torch.arange(len(memory.x), device=memory.x.device).repeat_interleave(beam)
        log_probs, state = decoder.begin(memory)
        self.next, self.state = log_probs[rows], state if beam == 1 else decoder.reorder(state, rows)
        self.ids = rows.new_empty(len(rows), 0)
        self.written = torch.where(torch.arange(len(rows), device=rows.device) % beam == 0, 0.0, -torch.inf)
        self.total = self.written  # all rows of a recording are the same empty text: one of them goes on
        self.prefixes = ctc.begin(rows) if ctc else None

    def advance(self) -> None:
        """Write one symbol in every row; what ends is finished."""
        scores, symbols = self._candidates()
        written = self.written[:, None] + scores
        total, extended = written, None
        if self.ctc and self.prefixes:
            extended = self.ctc.extend(self.prefixes, symbols)
            total = (1 - self.ctc_weight) * written + self.ctc_weight * extended.scores
        ends = symbols == self.decoder.end
        self._finish(total, ends)
        source, column = self._best(total.masked_fill(ends, -torch.inf))
        self.ids = torch.cat([self.ids[source], symbols[source, column][:, None]], dim=1)
        self.written, self.total = written[source, column], total[source, column]
        if self.ctc and extended:
            self.prefixes = self.ctc.choose(extended, source, column)
        self._stop()
        if not self.alive.any():
            return
        fewer = 4 * int(self.alive.sum()) <= 3 * len(self.alive)
        rows = self._narrow(source) if fewer else source
        stay = self.beam == 1 and not fewer  # every row goes on where it is
        state = self.state if stay else self.decoder.reorder(self.state, rows)
        self.next, self.state = self.decoder.step(self.ids[:, -1], state)

    def _candidates(self) -> tuple[Tensor, Tensor]:
        """The likeliest next symbols of each row (B * K, C); with CTC also the end, as a symbol may not fit it."""
        if self.ctc is None:
            return self.next.topk(min(2 * self.beam, self.next.shape[1]))
        end, others = self.decoder.end, self.next.clone()
        others[:, end] = -torch.inf
        scores, symbols = others.topk(min(2 * self.beam, self.next.shape[1] - 1))
        last = self.next[:, end : end + 1]
        return torch.cat([scores, last], dim=1), torch.cat([symbols, torch.full_like(symbols[:, :1], end)], dim=1)

    def _narrow(self, source: Tensor) -> Tensor:
        """Follow only the recordings that are not done; where their rows come from."""
        kept = self.alive.nonzero().flatten()
        rows = (kept[:, None] * self.beam + torch.arange(self.beam, device=kept.device)).flatten()
        self.ids, self.written, self.total = self.ids[rows], self.written[rows], self.total[rows]
        self.alive, self.limit, self.samples = self.alive[kept], self.limit[kept], self.samples[kept.cpu()]
        if self.prefixes:
            self.prefixes = Prefixes(*(values[rows] for values in self.prefixes))
        return source[rows]

    def _best(self, total: Tensor) -> tuple[Tensor, Tensor]:
        """Which rows (B * K,) go on with which of their symbols, the likeliest of each recording first."""
        width = total.shape[1]
        places = total.view(-1, self.beam * width).topk(self.beam).indices  # [B, K]
        first = torch.arange(len(places), device=places.device)[:, None] * self.beam
        return (places // width + first).flatten(), (places % width).flatten()

    def _finish(self, total: Tensor, ends: Tensor) -> None:
        """Texts that end among the K likeliest of their recording."""
        width = total.shape[1]
        best, places = total.view(-1, self.beam * width).topk(self.beam)
        ending = ends.view(-1, self.beam * width).gather(1, places) & best.isfinite() & self.alive[:, None]
        for sample, place in ending.nonzero().tolist():
            row = sample * self.beam + int(places[sample, place]) // width
            score = float(best[sample, place]) / (self.ids.shape[1] + 1)
            self._texts(sample).append(Written(self.ids[row].tolist(), score))

    def _stop(self) -> None:
        """A recording is done with K ended texts, or when it may have no longer one.

        If none has ended by then, the best is cut off where it is.
        """
        length = self.ids.shape[1]
        for sample in self.alive.nonzero().flatten().tolist():
            row = sample * self.beam
            full = length >= int(self.limit[sample]) or not self.total[row].isfinite()
            if full and not self._texts(sample) and self.total[row].isfinite():
                self._texts(sample).append(Written(self.ids[row].tolist(), float(self.total[row]) / length))
            if full or len(self._texts(sample)) >= self.beam:
                self.alive[sample] = False

    def _texts(self, sample: int) -> list[Written]:
        """The ended texts of one that is followed."""
        return self.finished[int(self.samples[sample])]
