"""The matching head."""

import pytest
import torch

from mmtasks.heads.matching import MatchingHead
from mmtasks.types import Fused


@pytest.mark.parametrize("compare", [False, True])
def test_matching_ignores_padding_and_tells_pairs_apart(compare: bool) -> None:
    torch.manual_seed(0)
    head = MatchingHead(8, 2, compare=compare)
    spans = {"image": slice(0, 3), "text": slice(3, 6)}
    x = torch.randn(2, 6, 8)
    mask = torch.tensor([[True, True, True, True, True, False]] * 2)
    score = head(Fused(x, mask, spans))
    padded = x.clone()
    padded[:, 5] = torch.nan
    torch.testing.assert_close(head(Fused(padded, mask, spans)), score)
    assert not torch.allclose(score[0], score[1])


def test_comparison_does_not_depend_on_sign_of_the_difference() -> None:
    torch.manual_seed(0)
    head = MatchingHead(4, 2, compare=True)
    a, b = torch.randn(2, 1, 4)
    mask = torch.ones(1, 2, dtype=torch.bool)
    seen: list[torch.Tensor] = []
    head.layers.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    for one, other in ((a, b), (b, a)):
        head(Fused(torch.stack([one, other], dim=1), mask, {"image": slice(0, 1), "text": slice(1, 2)}))
    torch.testing.assert_close(seen[0][:, 8:], seen[1][:, 8:])
    torch.testing.assert_close(seen[0][:, 8:12], a * b)
