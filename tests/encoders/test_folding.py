"""Networks prepared for inference give what they gave."""

import pytest
import torch
from torch import nn

from mmtasks.encoders.efficientnet import EfficientNetLite
from mmtasks.encoders.folding import folded
from mmtasks.types import Modality


def unsettle(network: nn.Module) -> nn.Module:
    """Give batch norms statistics and weights that are not 0 and 1."""
    generator = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for value in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                value.data = 0.5 + torch.rand(value.shape, generator=generator)
    return network.eval()


def test_folded_layers_give_the_same_and_leave_the_network_as_it_was() -> None:
    network = unsettle(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU6(), nn.Conv2d(4, 2, 1)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    quick = folded(network, [("0", "1")])
    torch.testing.assert_close(quick(x.clone()), network(x))
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in quick.modules())
    assert before.keys() == network.state_dict().keys() and not network[2].inplace
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@pytest.mark.parametrize("blocks", [(), (15, 10, 4)])
def test_efficientnet_infers_what_it_computes_with_gradients(blocks: tuple[int, ...]) -> None:
    pytest.importorskip("efficientnet_lite_pytorch")
    encoder = EfficientNetLite(frozen=False, blocks=blocks)
    encoder.build({"architecture": {"name": "efficientnet-lite0"}})
    unsettle(encoder)
    images = Modality(
        torch.rand(5, 1, 3, 224, 224, generator=torch.Generator().manual_seed(0)), torch.ones(5, 1, dtype=torch.bool)
    )
    expected = encoder(images).x
    assert expected.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(
            encoder(images).x, expected.detach(), rtol=1e-3, atol=1e-3 * float(expected.abs().max())
        )
