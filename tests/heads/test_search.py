"""Beam search over hand-made decoders, and CTC prefix scores against the sum over all texts."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from mmtasks.data.tokenizer import ctc_length
from mmtasks.heads.ctc_prefix import PrefixScores
from mmtasks.heads.decoder import Decoder, TransformerDecoder
from mmtasks.heads.search import beam_search
from mmtasks.losses import ctc
from mmtasks.types import Tokens

END = 3


class Table(Decoder):
    """Probabilities of the next symbol by what is written so far."""

    end, max_length = END, 10

    def __init__(self, table: dict[tuple[int, ...], list[float]]) -> None:
        super().__init__()
        self.table = table

    def _rows(self, written: list[tuple[int, ...]]) -> Tensor:
        return torch.tensor([self.table.get(text, [0.01, 0.01, 0.01, 0.97]) for text in written]).log()

    def begin(self, memory):
        written = [()] * len(memory.x)
        return self._rows(written), written

    def step(self, ids, state):
        written = [(*text, symbol) for text, symbol in zip(state, ids.tolist(), strict=True)]
        return self._rows(written), written

    def reorder(self, state, rows):
        return [state[row] for row in rows.tolist()]


def memory(*lengths: int) -> Tokens:
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return Tokens(torch.zeros(len(lengths), max(lengths), 4), mask)


GARDEN_PATH = {(): [0.0, 0.55, 0.45, 0.0], (1,): [0.2, 0.3, 0.3, 0.2], (2,): [0.01, 0.01, 0.01, 0.97]}


def test_a_beam_finds_the_text_that_greedy_misses() -> None:
    greedy, wide = (beam_search(Table(GARDEN_PATH), memory(5), beam=beam)[0] for beam in (1, 3))
    assert greedy.ids[0] == 1
    assert wide.ids == [2]
    assert wide.score == pytest.approx(float(torch.tensor([0.45, 0.97]).log().mean()))


def test_a_text_has_no_more_symbols_than_its_recording_has_tokens() -> None:
    endless = Table({tuple([1] * n): [0.0, 1.0, 0.0, 0.0] for n in range(10)})
    found = beam_search(endless, memory(2, 4, 0), beam=2)
    assert [text.ids for text in found] == [[1, 1], [1, 1, 1, 1], []]


def test_a_sample_is_decoded_in_a_batch_as_alone() -> None:
    torch.manual_seed(0)
    decoder = TransformerDecoder(1, num_heads=2)
    decoder.build(8, {"transcript": {"vocab_size": 6}})
    decoder.eval()
    x, mask = torch.randn(3, 6, 8), torch.arange(6) < torch.tensor([6, 4, 2])[:, None]
    log_probs = torch.randn(3, 6, 6).log_softmax(dim=-1)
    for scores in (None, log_probs):
        together = beam_search(decoder, Tokens(x, mask), beam=3, **joint(decoder, scores, mask))
        for row, size in enumerate((6, 4, 2)):
            part = None if scores is None else scores[row : row + 1, :size]
            alone = Tokens(x[row : row + 1, :size], mask[row : row + 1, :size])
            [found] = beam_search(decoder, alone, beam=3, **joint(decoder, part, alone.mask))
            assert found.ids == together[row].ids
            assert found.score == pytest.approx(together[row].score, abs=1e-4)


@pytest.mark.parametrize("beam", [1, 2])
def test_what_is_done_is_no_longer_computed(beam: int) -> None:
    """Recordings of 1 to 8 tokens, of which nothing ends before."""

    class Counted(TransformerDecoder):
        def step(self, ids, state):
            rows.append(len(ids))
            return super().step(ids, state)

    torch.manual_seed(0)
    decoder = Counted(1, num_heads=2)
    decoder.build(8, {"transcript": {"vocab_size": 6}})
    decoder.eval().end = 5
    decoder.embed.weight.data[5] = 0
    x, sizes = torch.randn(4, 8, 8), [1, 3, 8, 5]
    mask = torch.arange(8) < torch.tensor(sizes)[:, None]
    rows: list[int] = []
    together = beam_search(decoder, Tokens(x, mask), beam=beam)
    assert rows[-1] == beam and sum(rows) < 0.8 * len(rows) * 4 * beam
    for row, size in enumerate(sizes):
        [alone] = beam_search(decoder, Tokens(x[row : row + 1, :size], mask[row : row + 1, :size]), beam=beam)
        assert together[row].ids == alone.ids and together[row].score == pytest.approx(alone.score, abs=1e-4)


def joint(decoder: Decoder, log_probs: Tensor | None, mask: Tensor) -> dict:
    if log_probs is None:
        return {}
    return {"ctc": PrefixScores(log_probs, mask, blank=0, end=decoder.end), "ctc_weight": 0.4}


def test_ctc_outvotes_a_decoder_that_cannot_tell() -> None:
    undecided = Table({(): [0.0, 0.5, 0.5, 0.0]})
    heard = torch.tensor([[[0.1, 0.1, 0.8], [0.8, 0.1, 0.1]]]).log()
    scores = PrefixScores(heard, torch.ones(1, 2, dtype=torch.bool), blank=0, end=END)
    [found] = beam_search(undecided, memory(2), beam=2, ctc=scores, ctc_weight=0.5)
    assert found.ids == [2]


@pytest.mark.parametrize("beam", [1, 3])
def test_nothing_is_written_that_ctc_cannot_align(beam: int) -> None:
    """Where no likely symbol fits the tokens that are left, the text ends."""
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        log_probs = (3 * torch.randn(2, 4, 3, generator=generator)).log_softmax(-1)
        table = {
            text: (3 * torch.randn(4, generator=generator)).softmax(-1).tolist()
            for size in range(5)
            for text in itertools.product(range(3), repeat=size)
        }
        read = memory(4, 2)
        scores = PrefixScores(log_probs, read.mask, blank=0, end=END)
        for text, length in zip(
            beam_search(Table(table), read, beam=beam, ctc=scores, ctc_weight=0.3), (4, 2), strict=True
        ):
            assert math.isfinite(text.score) and 0 not in text.ids
            assert ctc_length(text.ids) <= length


def test_prefix_scores_are_the_sum_over_all_texts_that_begin_so() -> None:
    torch.manual_seed(0)
    tokens, symbols = 4, (1, 2)
    log_probs = torch.randn(1, tokens, 3, dtype=torch.double).log_softmax(dim=-1)
    mask = torch.ones(1, tokens, dtype=torch.bool)
    texts = {text: 0.0 for n in range(tokens + 1) for text in itertools.product(symbols, repeat=n)}
    for path in itertools.product(range(3), repeat=tokens):
        text = tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)
        texts[text] += float(sum(log_probs[0, t, s] for t, s in enumerate(path)).exp())
    padded = torch.cat([log_probs, torch.randn(1, 2, 3, dtype=torch.double).log_softmax(-1)], dim=1)
    scores = PrefixScores(padded, torch.cat([mask, mask[:, :2] & False], dim=1), blank=0, end=END)
    prefixes, text = scores.begin(torch.tensor([0])), ()
    for symbol in (1, 1, 2):
        extended = scores.extend(prefixes, torch.tensor([[1, 2, 0, END]]))
        begun = [sum(p for t, p in texts.items() if t[: len(text) + 1] == (*text, s)) for s in symbols]
        expected = torch.tensor([*begun, 0.0, texts[text]], dtype=torch.double)
        torch.testing.assert_close(extended.scores[0].exp(), expected)
        prefixes = scores.choose(extended, torch.tensor([0]), torch.tensor([symbol - 1]))
        text = (*text, symbol)
    whole = scores.extend(prefixes, torch.tensor([[END]])).scores
    loss = ctc(log_probs, mask, torch.tensor([[1, 1, 2]]), torch.tensor([3]), blank=0)
    torch.testing.assert_close(whole[0, 0], -loss * 3)
