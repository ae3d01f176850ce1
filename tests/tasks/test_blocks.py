"""Recomputed blocks: less is kept, the gradients stay. Compiled blocks: compiled once, the same."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmtasks.encoders.audio import ConformerAudio
from mmtasks.fusion.transformer import JointTransformer
from mmtasks.layers import Block
from mmtasks.tasks.blocks import ActivationCheckpointing, CompiledBlocks, blocks
from mmtasks.types import Tokens


def fusion() -> JointTransformer:
    torch.manual_seed(0)
    made = JointTransformer(2, num_heads=2, dropout=0.5)
    made.build(8)
    return made


def step(module: nn.Module) -> tuple[list[Tensor], int]:
    """Gradients, and how many numbers were kept for the backward pass."""
    kept = 0

    def keep(x: Tensor) -> Tensor:
        nonlocal kept
        kept += x.numel()
        return x

    torch.manual_seed(1)
    tokens = {name: Tokens(torch.randn(2, 5, 8), torch.ones(2, 5, dtype=torch.bool)) for name in ("image", "text")}
    module.zero_grad()
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = module(tokens).x.square().sum()
    loss.backward()
    return [weight.grad.clone() for weight in module.parameters()], kept


def test_gradients_are_equal_and_less_is_kept() -> None:
    module, recomputing = fusion(), ActivationCheckpointing()
    plain, kept = step(module)
    recomputing.on_fit_start(None, module)  # type: ignore[arg-type]
    again, less = step(module)
    for one, other in zip(plain, again, strict=True):
        torch.testing.assert_close(other, one, rtol=0, atol=0)
    assert less < kept / 4
    recomputing.on_fit_end(None, module)  # type: ignore[arg-type]
    assert step(module)[1] == kept


def test_compiled_blocks_of_a_kind_are_compiled_once_for_batches_of_any_size_and_give_the_same() -> None:
    module = fusion().eval()
    tokens = [
        {
            name: Tokens(torch.randn(b, n, 8, requires_grad=True), torch.ones(b, n, dtype=torch.bool))
            for name in ("image", "text")
        }
        for b, n in ((2, 5), (3, 4), (4, 7))
    ]
    names, plain = list(module.state_dict()), [module(one).x for one in tokens]
    compiling = CompiledBlocks(backend="eager")
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    compiling.on_fit_start(None, module)  # type: ignore[arg-type]
    for one, before in zip(tokens, plain, strict=True):
        torch.testing.assert_close(module(one).x, before)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert list(module.state_dict()) == names
    compiling.on_fit_end(None, module)  # type: ignore[arg-type]
    torch.testing.assert_close(module(tokens[0]).x, plain[0], rtol=0, atol=0)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1


@pytest.mark.parametrize(("option", "complaint"), [({"versions": 0}, "at least 1"), ({"backend": "x"}, "none of")])
def test_compiling_complains_of_options_out_of_range(option: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        CompiledBlocks(**option)


def test_blocks_are_those_of_all_parts_that_are_trained() -> None:
    encoder = ConformerAudio(8, num_layers=3, num_heads=2, num_mels=4)
    encoder.build({"rate": 16_000})
    whole = nn.ModuleList([encoder, fusion()])
    assert len(list(blocks(whole))) == 5
    encoder.requires_grad_(False)
    assert [type(block) for block in blocks(whole)] == [Block, Block]


@pytest.mark.parametrize("module", [nn.Linear(2, 2), nn.LSTM(2, 2)])
def test_what_has_no_blocks_stays_as_it_is(module: nn.Module) -> None:
    assert list(blocks(module)) == []
