"""Text encoders trained from scratch."""

import pytest
import torch

from mmtasks.config import describe, instantiate
from mmtasks.encoders.base import Encoder
from mmtasks.encoders.text import BagOfWords, RNNText, TransformerText
from mmtasks.types import Modality

FACTS = {"vocab_size": 12, "pad_id": 0}
MAKES = {
    "lstm": lambda: RNNText(8, num_layers=2),
    "gru": lambda: RNNText(8, kind="gru", bidirectional=False, embedding_dim=6),
    "transformer": lambda: TransformerText(8, num_layers=2, num_heads=2),
    "words": lambda: BagOfWords(8),
}


@pytest.fixture(params=MAKES)
def encoder(request) -> Encoder:
    torch.manual_seed(0)
    made = MAKES[request.param]()
    made.build(FACTS)
    return made


def text(*rows: list[int]) -> Modality:
    data = torch.tensor(rows)
    return Modality(data, data != 0)


def test_a_token_per_word(encoder) -> None:
    out = encoder(text([1, 2, 3], [4, 5, 0]))
    assert out.x.shape == (2, 3, 8) and encoder.width == 8
    assert out.mask.tolist() == [[True, True, True], [True, True, False]]
    assert not out.x[1, 2].any()


def test_padding_changes_nothing_on_either_side(encoder) -> None:
    alone = encoder(text([1, 2, 3])).x
    torch.testing.assert_close(encoder(text([1, 2, 3, 0, 0], [1, 2, 3, 4, 5])).x[:1, :3], alone)
    torch.testing.assert_close(encoder(text([0, 0, 1, 2, 3])).x[:, 2:], alone)


def test_what_stands_under_the_mask_is_not_read(encoder) -> None:
    mask = torch.tensor([[True, True, False]])
    a, b = (encoder(Modality(torch.tensor([[1, 2, last]]), mask)).x for last in (0, 7))
    torch.testing.assert_close(a, b)


def test_a_row_without_words_is_zeros_with_finite_gradients(encoder) -> None:
    out = encoder(text([0, 0, 0], [1, 2, 0]))
    assert not out.x[0].any()
    out.x.square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in encoder.parameters())


@pytest.mark.parametrize("name", ["lstm", "gru", "transformer"])
def test_order_matters(name) -> None:
    encoder = MAKES[name]()
    encoder.build(FACTS)
    a, b = encoder(text([1, 2, 3])).x.sum(dim=1), encoder(text([3, 2, 1])).x.sum(dim=1)
    assert not torch.allclose(a, b, atol=1e-4)


def test_bag_of_words_knows_no_order() -> None:
    encoder = BagOfWords(8)
    encoder.build(FACTS)
    a, b = encoder(text([1, 2, 3])).x.sum(dim=1), encoder(text([3, 2, 1])).x.sum(dim=1)
    torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RNNText(8, kind="rnn"), "kind 'rnn'.*gru.*lstm"),
        (lambda: RNNText(7), "dim 7"),
        (lambda: RNNText(8, num_layers=0), "num_layers 0"),
        (lambda: RNNText(8, embedding_dim=-1), "embedding_dim -1"),
        (lambda: TransformerText(9, num_heads=3), "dim 9"),
        (lambda: TransformerText(8, num_heads=3), "num_heads 3"),
        (lambda: TransformerText(8, dropout=-0.1), "dropout -0.1"),
        (lambda: BagOfWords(0), "dim 0"),
        (lambda: BagOfWords(8).build({"vocab_size": 3}), "pad_id"),
    ],
)
def test_bad_arguments_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_a_built_from_description_equals_the_original(encoder) -> None:
    assert describe(instantiate(describe(encoder))) == describe(encoder)
