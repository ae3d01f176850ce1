"""Tokens of motion."""

import pytest
import torch

from activity.encoder import MotionEncoder
from mmtasks.types import Modality


@pytest.mark.parametrize("length", [1, 2, 7, 40])
def test_padding_changes_nothing(length: int) -> None:
    torch.manual_seed(0)
    encoder = MotionEncoder(8)
    encoder.build({})
    steps = torch.randn(1, 50, 6)
    mask = torch.arange(50)[None] < length
    alone = encoder(Modality(steps[:, :length], mask[:, :length]))
    padded = encoder(Modality(steps, mask))
    assert alone.mask.all()
    assert int(padded.mask.sum()) == alone.x.shape[1] == -(-length // 8)
    torch.testing.assert_close(padded.x[:, : alone.x.shape[1]], alone.x)
    assert not padded.x[~padded.mask].any()


@pytest.mark.parametrize("options", [{"dim": 0}, {"num_layers": 0}, {"kernel": 4}])
def test_bad_arguments_are_named(options: dict[str, int]) -> None:
    [name] = options
    with pytest.raises(ValueError, match=name):
        MotionEncoder(**options)
