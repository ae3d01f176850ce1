"""Scores against their formulas, pair by pair."""

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from mmtasks.fusion.scores import SCORES, AdditiveScore, CosineScore, make_score

FORMULAS: dict[str, Callable] = {
    "dot": lambda s, q, k: q @ k,
    "scaled_dot": lambda s, q, k: q @ k / math.sqrt(len(q)),
    "cosine": lambda s, q, k: 10 * F.cosine_similarity(q, k, dim=0),
    "bilinear": lambda s, q, k: (q[:, None] * s.weight * k[None, :]).sum(),
    "additive": lambda s, q, k: s.value(torch.tanh(s.query(q) + s.key(k)))[0],
}


def pair() -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    return torch.randn(2, 3, 8), torch.randn(2, 5, 8)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_equals_its_formula_for_every_pair(name: str) -> None:
    query, key = pair()
    score = make_score(name)
    score.build(8)
    scores = score(query, key)
    expected = torch.stack(
        [
            torch.stack([torch.stack([FORMULAS[name](score, q, k) for k in ks]) for q in qs])
            for qs, ks in zip(query, key, strict=True)
        ]
    )
    assert scores.shape == (2, 3, 5)
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize("name", sorted(SCORES))
def test_every_weight_and_input_gets_a_finite_gradient(name: str) -> None:
    query, key = (t.requires_grad_() for t in pair())
    score = make_score(name)
    score.build(8)
    score(query, key).softmax(dim=-1)[..., 0].sum().backward()
    for tensor in (query, key, *score.parameters()):
        assert tensor.grad is not None and tensor.grad.isfinite().all() and tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("name", sorted(SCORES))
def test_no_keys_give_no_scores(name: str) -> None:
    score = make_score(name)
    score.build(8)
    assert score(torch.randn(2, 3, 8), torch.randn(2, 0, 8)).shape == (2, 3, 0)


def test_cosine_ignores_length_and_survives_zeros() -> None:
    query, key = pair()
    score = CosineScore()
    score.build(8)
    torch.testing.assert_close(score(query * 7, key / 3), score(query, key))
    zeros = torch.zeros(1, 2, 8, requires_grad=True)
    score(zeros, zeros).sum().backward()
    assert zeros.grad is not None and zeros.grad.isfinite().all()
    assert score(zeros.half(), zeros.half()).eq(0).all()


def test_unknown_name_lists_the_allowed_ones() -> None:
    with pytest.raises(ValueError, match=r"'dots'.*additive, bilinear, cosine, dot, scaled_dot"):
        make_score("dots")


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"hidden.*0"):
        AdditiveScore(hidden=0)
    with pytest.raises(ValueError, match=r"temperature.*-1"):
        CosineScore(-1)
