"""What holds for every fusion, then what is special to each transformer."""

from collections.abc import Callable

import pytest
import torch

from mmtasks.config import describe, instantiate
from mmtasks.fusion.base import Fusion
from mmtasks.fusion.bottleneck import Bottleneck
from mmtasks.fusion.mman import MMAN
from mmtasks.fusion.neighbours import Neighbours
from mmtasks.fusion.stacked import Stacked
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.types import Tokens

FUSIONS: dict[str, Callable[[], Fusion]] = {
    "mman": MMAN,
    "mman_outer": lambda: MMAN("additive", product="outer", rank=3),
    "joint": lambda: JointTransformer(2, num_heads=2),
    "bottleneck": lambda: Bottleneck(3, num_layers=3, num_heads=2),
    "stacked": lambda: Stacked([JointTransformer(1, num_heads=2), MMAN()]),
    "neighbours": lambda: Stacked([Neighbours(2, kernel=3), JointTransformer(1, num_heads=2)]),
    "neighbours_of_one": lambda: Stacked([Neighbours(1, modalities=["text"]), JointTransformer(1, num_heads=2)]),
    "latents": lambda: Bottleneck(3, own=False, num_layers=3, num_heads=2),
}


@pytest.fixture(params=sorted(FUSIONS))
def fusion(request: pytest.FixtureRequest) -> Fusion:
    torch.manual_seed(0)
    fusion = FUSIONS[request.param]()
    fusion.build(8)
    return fusion


def inputs(seed: int = 1) -> dict[str, Tokens]:
    """Sample 0 complete, sample 1 without image, sample 2 without text."""
    generator = torch.Generator().manual_seed(seed)
    text = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]]).bool()
    image = torch.tensor([[1, 1, 1], [0, 0, 0], [1, 1, 1]]).bool()
    masks = {"text": text, "image": image}
    return {name: Tokens(torch.randn(*m.shape, 8, generator=generator), m) for name, m in masks.items()}


def test_shapes_and_order_of_names(fusion: Fusion) -> None:
    fused = fusion(inputs())
    assert fused.spans == {"image": slice(0, 3), "text": slice(3, 7)}
    assert fused.x.shape == (3, 7, 8) and fused.mask.shape == (3, 7) and fused.attention is None


def test_order_of_the_dict_changes_nothing(fusion: Fusion) -> None:
    tokens = inputs()
    torch.testing.assert_close(fusion(dict(reversed(tokens.items()))).x, fusion(tokens).x)


@pytest.mark.parametrize("garbage", [1e4, float("nan"), float("inf")])
def test_what_lies_in_the_padding_changes_nothing(fusion: Fusion, garbage: float) -> None:
    tokens = inputs()
    dirty = {name: Tokens(x.masked_fill(~mask[..., None], garbage), mask) for name, (x, mask) in tokens.items()}
    clean, fused = fusion(tokens, need_weights=True), fusion(dirty, need_weights=True)
    torch.testing.assert_close(fused.x, clean.x)
    torch.testing.assert_close(fused.attention, clean.attention)


def test_more_padding_changes_nothing(fusion: Fusion) -> None:
    tokens = inputs()
    longer = {
        name: Tokens(torch.cat([x, torch.randn(3, 2, 8)], dim=1), torch.cat([mask, mask.new_zeros(3, 2)], dim=1))
        for name, (x, mask) in tokens.items()
    }
    fused, padded = fusion(tokens), fusion(longer)
    torch.testing.assert_close(padded.x[padded.mask], fused.x[fused.mask])


def test_another_sample_changes_nothing(fusion: Fusion) -> None:
    tokens = inputs()
    fused = fusion(tokens)
    for i in range(3):
        alone = fusion({name: Tokens(x[i : i + 1], mask[i : i + 1]) for name, (x, mask) in tokens.items()})
        torch.testing.assert_close(alone.x[0], fused.x[i])


def test_absent_by_mask_equals_absent_by_name(fusion: Fusion) -> None:
    tokens = inputs()
    fused = fusion(tokens)
    alone = fusion({"text": Tokens(*(t[1:2] for t in tokens["text"]))})
    torch.testing.assert_close(alone.x[0], fused.x[1, fused.spans["text"]])


def test_nothing_real_at_all_is_finite_with_finite_gradients(fusion: Fusion) -> None:
    tokens = {name: Tokens(x.requires_grad_(), torch.zeros_like(mask)) for name, (x, mask) in inputs().items()}
    fused = fusion(tokens, need_weights=True)
    assert fused.x.isfinite().all() and fused.attention.eq(0).all()
    fused.x.sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in fusion.parameters())


def test_every_weight_learns_and_gradients_are_finite(fusion: Fusion) -> None:
    fused = fusion(inputs())
    (fused.x * torch.randn_like(fused.x)).sum().backward()
    for name, parameter in fusion.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_text_is_changed_by_the_image_and_back(fusion: Fusion) -> None:
    tokens, other = inputs(1), inputs(2)
    fused = fusion(tokens)
    for name, replaced in (("text", "image"), ("image", "text")):
        changed = fusion({name: tokens[name], replaced: other[replaced]})
        difference = (changed.x - fused.x)[:, fused.spans[name]].abs().amax(dim=(1, 2))
        assert difference[0] > 1e-5 and difference[1:].max() < 1e-6


def test_weights_do_not_change_the_result_and_look_at_real_tokens(fusion: Fusion) -> None:
    fused = fusion(inputs(), need_weights=True)
    torch.testing.assert_close(fused.x, fusion(inputs()).x)
    assert fused.attention.shape == (3, 7, 7) and (fused.attention >= 0).all()
    assert fused.attention.sum(dim=-1).max() <= 1 + 1e-5
    assert fused.attention.masked_select(~fused.mask[:, None, :]).eq(0).all()
    assert fused.attention[~fused.mask].eq(0).all()
    assert fused.attention[0, fused.spans["text"], fused.spans["image"]].gt(0).all()


def test_mixed_precision_is_finite(fusion: Fusion) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fused = fusion(inputs(), need_weights=True)
    assert fused.x.isfinite().all() and fused.attention.isfinite().all()


def test_is_rebuilt_from_its_description(fusion: Fusion) -> None:
    again = instantiate(describe(fusion))
    again.build(8)
    again.load_state_dict(fusion.state_dict())
    torch.testing.assert_close(again(inputs()).x, fusion(inputs()).x)


def test_joint_rows_sum_to_one() -> None:
    fusion = JointTransformer(2, num_heads=2)
    fusion.build(8)
    fused = fusion(inputs(), need_weights=True)
    torch.testing.assert_close(fused.attention.sum(dim=-1), fused.mask.float())


def test_neighbours_are_those_of_the_own_modality_alone() -> None:
    torch.manual_seed(0)
    fusion = Neighbours(1, kernel=3)
    fusion.build(8)
    text, image = inputs()["text"], inputs()["image"]
    last_of_image = image.x.clone()
    last_of_image[0, 2] *= -1
    difference = fusion({"text": text, "image": Tokens(last_of_image, image.mask)}).x - fusion(inputs()).x
    assert difference[0].abs().amax(dim=1).gt(1e-5).tolist() == [False, True, True, False, False, False, False]


def test_bottleneck_first_layer_keeps_modalities_apart() -> None:
    torch.manual_seed(0)
    fusion = Bottleneck(2, num_heads=2)
    fusion.build(8)
    tokens, other = inputs(1), inputs(2)
    seen: list[torch.Tensor] = []
    fusion.blocks[0].register_forward_hook(lambda module, args, output: seen.append(output[0]))
    fusion(tokens)
    fusion({"text": tokens["text"], "image": other["image"]})
    image_first, text_first, image_second, text_second = seen
    torch.testing.assert_close(text_first, text_second)
    assert not torch.allclose(image_first[0], image_second[0])


def test_bottleneck_never_attends_beyond_one_modality_and_the_latents() -> None:
    fusion = Bottleneck(2, num_heads=2)
    fusion.build(8)
    lengths: list[int] = []
    for block in fusion.blocks:
        block.register_forward_hook(lambda module, args, output: lengths.append(args[0].shape[1]))
    fusion(inputs())
    assert lengths == [3 + 2, 4 + 2, 3 + 2, 4 + 2]


def test_bottleneck_attention_is_composed_through_the_latents() -> None:
    torch.manual_seed(0)
    fusion = Bottleneck(2, num_heads=2)
    fusion.build(8)
    weights: list[torch.Tensor] = []
    for block in fusion.blocks:
        block.register_forward_hook(lambda module, args, output: weights.append(output[1][0]))
    attention = fusion(inputs(), need_weights=True).attention[0]
    image_first, text_first, image_second, text_second = weights
    image_written, text_written = image_first[3:, :3] / 2, text_first[4:, :4] / 2
    torch.testing.assert_close(attention[3:, :3], text_second[:4, 4:] @ image_written)
    torch.testing.assert_close(attention[:3, 3:], image_second[:3, 3:] @ text_written)
    torch.testing.assert_close(attention[:3, :3], image_second[:3, :3] + image_second[:3, 3:] @ image_written)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: JointTransformer(0), "num_layers.*0"),
        (lambda: JointTransformer(num_heads=0), "num_heads.*0"),
        (lambda: JointTransformer(mlp_ratio=0), "mlp_ratio.*0"),
        (lambda: JointTransformer(dropout=-0.1), "dropout.*-0.1"),
        (lambda: Neighbours(0), "num_layers.*0"),
        (lambda: Neighbours(kernel=4), "kernel.*4"),
        (lambda: Neighbours(dropout=1), "dropout.*1"),
        (lambda: Bottleneck(0), "num_latents.*0"),
        (lambda: Bottleneck(num_layers=1), "num_layers.*1"),
        (lambda: JointTransformer(num_heads=3).build(8), "8.*3"),
    ],
)
def test_bad_arguments_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_neighbours_of_some_modalities_leave_the_others_as_they_are() -> None:
    fusion, tokens = Neighbours(1, modalities=["text"]), inputs()
    fusion.build(8)
    fused = fusion(tokens)
    read = {name: fused.x[:, span] for name, span in fused.spans.items()}
    real = {name: value.mask.unsqueeze(-1) for name, value in tokens.items()}
    assert torch.equal(read["image"], tokens["image"].x * real["image"])
    assert not torch.allclose(read["text"], tokens["text"].x * real["text"])
