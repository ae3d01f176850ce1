"""MMAN against the sum it stands for, written out."""

import pytest
import torch
from torch import Tensor

from mmtasks.config import describe, instantiate
from mmtasks.fusion.mman import MMAN, PRODUCTS
from mmtasks.fusion.scores import SCORES
from mmtasks.types import Tokens


def built(**arguments: object) -> MMAN:
    torch.manual_seed(0)
    fusion = MMAN(**arguments)  # type: ignore[arg-type]
    fusion.build(8)
    return fusion


def three_modalities() -> dict[str, Tokens]:
    torch.manual_seed(1)
    masks = {
        "video": torch.tensor([[1, 1, 1], [1, 1, 0]]).bool(),
        "audio": torch.tensor([[1, 1], [0, 0]]).bool(),
        "text": torch.tensor([[1, 0, 1, 1], [1, 1, 1, 1]]).bool(),
    }
    return {name: Tokens(torch.randn(*mask.shape, 8), mask) for name, mask in masks.items()}


def literal(fusion: MMAN, tokens: dict[str, Tokens], name: str, sample: int, index: int) -> Tensor:
    """Sum over j of alpha_ij [h_i ; h_j ; h_i (x) h_j], one j at a time."""
    h = tokens[name].x[sample, index]
    others = [t.x[sample, j] for n, t in sorted(tokens.items()) if n != name for j in t.mask[sample].nonzero()[:, 0]]
    scores = torch.stack([fusion.scorer(h[None, None], other[None, None])[0, 0, 0] for other in others])
    combined = torch.stack([fusion.combine(h, other) for other in others])
    return (scores.softmax(dim=0)[:, None] * combined).sum(dim=0)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("score", sorted(SCORES))
def test_equals_the_literal_sum(score: str, product: str) -> None:
    fusion, tokens = built(score=score, product=product, rank=3), three_modalities()
    fused = fusion(tokens)
    for name, (_, mask) in tokens.items():
        for sample, index in mask.nonzero().tolist():
            expected = fusion.norm(fusion.project(literal(fusion, tokens, name, sample, index)))
            torch.testing.assert_close(fused.x[sample, fused.spans[name]][index], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("product", "width"), [("elementwise", 24), ("outer", 16 + 9)])
def test_combine_is_linear_in_the_context(product: str, width: int) -> None:
    fusion = built(product=product, rank=3)
    h, a, b = torch.randn(3, 8)
    assert fusion.combine(h, a).shape == (width,)
    torch.testing.assert_close(
        fusion.combine(h, 0.3 * a + 0.7 * b), 0.3 * fusion.combine(h, a) + 0.7 * fusion.combine(h, b)
    )


def test_outer_product_is_the_outer_product_of_the_projections() -> None:
    fusion = built(product="outer", rank=3)
    h, context = torch.randn(2, 8)
    expected = torch.outer(fusion.left(h), fusion.right(context)).flatten()
    torch.testing.assert_close(fusion.combine(h, context)[16:], expected)


def test_attention_is_between_modalities_on_real_tokens_only() -> None:
    fused = built()(three_modalities(), need_weights=True)
    assert list(fused.spans) == ["audio", "text", "video"]
    assert fused.attention.shape == (2, 9, 9)
    for span in fused.spans.values():
        assert fused.attention[:, span, span].eq(0).all()
    assert fused.attention.masked_select(~fused.mask[:, None, :]).eq(0).all()
    torch.testing.assert_close(fused.attention.sum(dim=-1), fused.mask.float())


def test_alone_the_context_is_zeros() -> None:
    fusion, text = built(), three_modalities()["text"]
    fused = fusion({"text": text}, need_weights=True)
    expected = fusion.norm(fusion.project(fusion.combine(text.x, torch.zeros_like(text.x))))
    torch.testing.assert_close(fused.x[text.mask], expected[text.mask])
    assert fused.attention.eq(0).all()


def test_nothing_real_on_the_other_side_equals_alone() -> None:
    fusion, text = built(), three_modalities()["text"]
    absent = Tokens(torch.randn(2, 3, 8), torch.zeros(2, 3, dtype=torch.bool))
    fused = fusion({"text": text, "image": absent})
    torch.testing.assert_close(fused.x[:, fused.spans["text"]], fusion({"text": text}).x)


def test_is_rebuilt_from_its_description() -> None:
    fusion = MMAN("cosine", product="outer", rank=5, dropout=0.1)
    assert describe(instantiate(describe(fusion))) == describe(fusion)
    assert describe(fusion)["init_args"] == {"score": "cosine", "product": "outer", "rank": 5, "dropout": 0.1}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "x"}, "'x'.*scaled_dot"),
        ({"product": "x"}, "'x'.*elementwise, outer"),
        ({"rank": 0}, "rank.*0"),
        ({"dropout": 1.0}, "dropout.*1.0"),
    ],
)
def test_bad_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MMAN(**arguments)
