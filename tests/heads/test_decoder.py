"""The attention decoder from scratch."""

import pytest
import torch

from mmtasks.config import describe, instantiate
from mmtasks.heads.decoder import TransformerDecoder
from mmtasks.losses import next_symbol, with_end
from mmtasks.types import Tokens

FACTS = {"transcript": {"vocab_size": 11}}


@pytest.fixture
def decoder() -> TransformerDecoder:
    torch.manual_seed(0)
    decoder = TransformerDecoder(2, num_heads=2)
    decoder.build(16, FACTS)
    return decoder.eval()


def memory(rows: int = 2, length: int = 5) -> Tokens:
    generator = torch.Generator().manual_seed(1)
    return Tokens(torch.randn(rows, length, 16, generator=generator), torch.ones(rows, length, dtype=torch.bool))


def test_the_future_is_not_seen(decoder) -> None:
    ids = torch.tensor([[1, 2, 3, 4], [1, 2, 9, 9]])
    one, other = decoder(ids, Tokens(memory(1).x.expand(2, -1, -1), memory().mask))
    torch.testing.assert_close(one[:3], other[:3])
    assert not torch.allclose(one[3:], other[3:])


def test_cached_steps_equal_teacher_forcing(decoder) -> None:
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    expected = decoder(ids, memory()).log_softmax(dim=-1)
    log_probs, state = decoder.begin(memory())
    torch.testing.assert_close(log_probs, expected[:, 0])
    for position in range(3):
        log_probs, state = decoder.step(ids[:, position], state)
        torch.testing.assert_close(log_probs, expected[:, position + 1])


def test_a_reordered_state_goes_on_as_those_rows(decoder) -> None:
    _, state = decoder.begin(memory())
    _, state = decoder.step(torch.tensor([1, 2]), state)
    rows = torch.tensor([1, 1, 0])
    log_probs, _ = decoder.step(torch.tensor([3, 4, 5]), decoder.reorder(state, rows))
    ids = torch.tensor([[2, 3], [2, 4], [1, 5]])
    expected = decoder(ids, Tokens(memory().x[rows], memory().mask[rows])).log_softmax(dim=-1)[:, -1]
    torch.testing.assert_close(log_probs, expected)


def test_padded_memory_changes_nothing_and_an_empty_one_gives_no_nan(decoder) -> None:
    ids = torch.tensor([[1, 2], [1, 2]])
    x, mask = memory()
    longer = Tokens(torch.cat([x, torch.full((2, 3, 16), 7.0)], dim=1), torch.cat([mask, mask[:, :3] & False], dim=1))
    torch.testing.assert_close(decoder(ids, longer), decoder(ids, memory()))
    assert decoder(ids, Tokens(x, mask & False)).isfinite().all()


def test_texts_are_learned_by_heart(decoder) -> None:
    decoder.train()
    ids, lengths = torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])
    optimizer = torch.optim.Adam(decoder.parameters(), lr=1e-2)
    for _ in range(60):
        logits = decoder(ids, memory())
        loss = next_symbol(logits, with_end(ids, lengths, decoder.end), lengths + 1)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    best = decoder.eval()(ids, memory()).argmax(dim=-1)
    assert best[0].tolist() == [1, 2, 3, 11]
    assert best[1, :3].tolist() == [4, 5, 11]


def test_the_loss_counts_real_symbols_alone() -> None:
    logits = torch.randn(2, 3, 5)
    targets, lengths = torch.tensor([[1, 2, 3], [4, 0, 0]]), torch.tensor([3, 1])
    log_probs = logits.log_softmax(dim=-1)
    by_hand = -(log_probs[0, 0, 1] + log_probs[0, 1, 2] + log_probs[0, 2, 3] + log_probs[1, 0, 4]) / 4
    torch.testing.assert_close(next_symbol(logits, targets, lengths), by_hand)
    assert next_symbol(logits, targets, lengths, 0.5) != by_hand


@pytest.mark.parametrize(("options", "message"), [({"num_layers": 0}, "num_layers"), ({"dropout": 1.0}, "dropout 1.0")])
def test_bad_arguments_are_named(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        TransformerDecoder(**options)


def test_a_built_from_description_equals_the_original() -> None:
    decoder = TransformerDecoder(3, num_heads=2, dropout=0.2)
    assert describe(instantiate(describe(decoder))) == describe(decoder)
