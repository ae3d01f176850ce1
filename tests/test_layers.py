"""Attention, block, pooling and positions."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from mmtasks.errors import UserError
from mmtasks.layers import (
    Attention,
    Block,
    grid_shape,
    grid_sinusoids,
    masked_max,
    masked_mean,
    pool_places,
    sinusoids,
    time_sinusoids,
)

MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 0, 1, 0, 0], [0, 0, 0, 0, 0]]).bool()


def query_and_context() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(3, 4, 8), torch.randn(3, 5, 8)


def test_attention_with_weights_equals_attention_without() -> None:
    query, context = query_and_context()
    attention = Attention(8, 2)
    plain, none = attention(query, context, MASK)
    explicit, weights = attention(query, context, MASK, need_weights=True)
    assert none is None and weights.shape == (3, 4, 5)
    torch.testing.assert_close(explicit, plain)


def test_attention_weights_sum_to_one_over_real_keys() -> None:
    _, weights = Attention(8, 2)(*query_and_context(), MASK, need_weights=True)
    torch.testing.assert_close(weights.sum(dim=-1), torch.tensor([1.0, 1.0, 0.0])[:, None].expand(3, 4))
    assert weights.masked_select(~MASK[:, None, :]).eq(0).all()


@pytest.mark.parametrize("need_weights", [False, True])
def test_attention_ignores_masked_keys_and_gives_zeros_for_none(need_weights: bool) -> None:
    query, context = query_and_context()
    attention = Attention(8, 2)
    x, _ = attention(query, context, MASK, need_weights=need_weights)
    dirty, _ = attention(query, context.masked_fill(~MASK[..., None], 1e3), MASK, need_weights=need_weights)
    torch.testing.assert_close(dirty, x)
    assert x[2].eq(0).all() and x[:2].ne(0).any()


@pytest.mark.parametrize("need_weights", [False, True])
def test_attention_gradients_are_finite_where_nothing_is_real(need_weights: bool) -> None:
    query, context = (t.requires_grad_() for t in query_and_context())
    Attention(8, 2)(query, context, MASK, need_weights=need_weights)[0].sum().backward()
    assert query.grad is not None and context.grad is not None
    assert query.grad.isfinite().all() and context.grad.isfinite().all()
    assert context.grad[~MASK].eq(0).all()


def test_attention_needs_a_width_its_heads_divide() -> None:
    with pytest.raises(ValueError, match=r"8.*3"):
        Attention(8, 3)


def test_block_with_weights_equals_block_without() -> None:
    _, x = query_and_context()
    block = Block(8, 2)
    torch.testing.assert_close(block(x, MASK, need_weights=True)[0], block(x, MASK)[0])


def test_masked_pooling_equals_pooling_the_real_tokens() -> None:
    _, x = query_and_context()
    for i in range(2):
        torch.testing.assert_close(masked_mean(x, MASK)[i], x[i, MASK[i]].mean(dim=0))
        torch.testing.assert_close(masked_max(x, MASK)[i], x[i, MASK[i]].amax(dim=0))


@pytest.mark.parametrize("pool", [masked_mean, masked_max])
def test_masked_pooling_of_nothing_is_zeros(pool: Callable[[Tensor, Tensor], Tensor]) -> None:
    _, x = query_and_context()
    assert pool(x, MASK)[2].eq(0).all()


def smallest_distance(positions: Tensor) -> float:
    distances = torch.cdist(positions, positions) + 1e9 * torch.eye(len(positions))
    return distances.min().item()


def test_positions_are_distinct_and_bounded() -> None:
    positions = sinusoids(64, 16)
    assert positions.shape == (64, 16) and positions.abs().max() <= 1
    assert smallest_distance(positions) > 0.1


def test_grid_positions_are_distinct_and_row_major() -> None:
    positions = grid_sinusoids(3, 5, 16)
    assert positions.shape == (15, 16)
    assert smallest_distance(positions) > 0.1
    row_two_column_three = torch.cat([sinusoids(3, 8)[2], sinusoids(5, 8)[3]])
    torch.testing.assert_close(positions[2 * 5 + 3], row_two_column_three)


def test_positions_need_an_even_width() -> None:
    with pytest.raises(ValueError, match=r"7"):
        sinusoids(4, 7)


def test_no_mask_means_that_all_is_real() -> None:
    torch.manual_seed(0)
    attention, x = Attention(8, 2), torch.randn(2, 3, 8)
    everything = torch.ones(2, 3, dtype=torch.bool)
    for need_weights in (False, True):
        expected, weights = attention(x, x, everything, need_weights=need_weights)
        found, found_weights = attention(x, x, None, need_weights=need_weights)
        torch.testing.assert_close(found, expected)
        assert (weights is None) == (found_weights is None) == (not need_weights)
        if weights is not None:
            torch.testing.assert_close(found_weights, weights)


def test_moments_are_the_more_alike_the_nearer_they_are() -> None:
    moments = time_sinusoids(torch.tensor([1.0, 1.04, 1.2, 2.0, 10.0]), 64)
    alike = moments[0] @ moments.T
    assert alike[0] == pytest.approx(32) and alike.tolist() == sorted(alike.tolist(), reverse=True)
    with pytest.raises(ValueError, match="even dim, got 5"):
        time_sinusoids(torch.zeros(1), 5)


@pytest.mark.parametrize(("pool", "expected"), [("mean", [3.5, 5.5, 11.5, 13.5]), ("max", [6.0, 8.0, 14.0, 16.0])])
def test_places_are_parts_of_the_picture_in_its_order(pool: str, expected: list[float]) -> None:
    cells = torch.arange(1.0, 17.0)[None, :, None]  # 4 x 4, row-major
    assert pool_places(cells, 2, (64, 64), pool=pool).flatten().tolist() == expected


def test_one_place_needs_no_grid() -> None:
    tokens = torch.tensor([[1.0, 2.0, 6.0]])[..., None]
    assert pool_places(tokens, 1, (64, 64)).flatten().tolist() == [3.0]
    assert pool_places(tokens, 1, (64, 64), pool="max").flatten().tolist() == [6.0]


@pytest.mark.parametrize(
    ("count", "picture", "shape"),
    [(49, (224, 224), (7, 7)), (6, (33, 32), (3, 2)), (24, (32, 48), (4, 6)), (12, (180, 240), (3, 4))],
)
def test_a_grid_has_the_shape_of_its_picture(count: int, picture: tuple[int, int], shape: tuple[int, int]) -> None:
    assert grid_shape(count, picture) == shape


def test_tokens_that_are_no_grid_are_refused() -> None:
    for count in (side**2 + 1 for side in range(1, 33)):  # with a class token
        with pytest.raises(UserError, match=f"{count} tokens of a picture of 224 x 224 pixels are no grid"):
            grid_shape(count, (224, 224))
