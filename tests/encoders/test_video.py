"""Encoders of videos: padding changes nothing, absent videos give no NaN, order counts where it should."""

from collections.abc import Callable

import pytest
import torch

from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.video import ConvVideo, LSTMVideo, TransformerVideo, VideoEncoder
from mmtasks.errors import UserError
from mmtasks.types import Modality

FACTS = {"width": 6, "mean": [0.1] * 6, "std": [2.0] * 6}
MAKE: list[Callable[..., VideoEncoder]] = [
    VideoEncoder,
    LSTMVideo,
    lambda dim, **options: TransformerVideo(dim, num_heads=2, **options),
    lambda dim, **options: ConvVideo(dim, kernels=(3, 3), **options),
]
NAMES = ["steps", "lstm", "transformer", "conv"]
every = pytest.mark.parametrize("make", MAKE, ids=NAMES)


def built(make: Callable[..., VideoEncoder], *, places: int = 1, **options: object) -> VideoEncoder:
    torch.manual_seed(0)
    encoder = make(8, **options)
    encoder.build(FACTS if places == 1 else FACTS | {"places": places})
    return encoder.eval()


def real(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.bool)


@every
@pytest.mark.parametrize("contrast", [False, True])
def test_padding_changes_nothing(make: Callable[..., VideoEncoder], contrast: bool) -> None:
    encoder = built(make, contrast=contrast)
    steps = torch.randn(1, 5, 6)
    padded = torch.cat([steps, torch.full((1, 3, 6), 9.0)], dim=1)
    mask = real(1, 8)
    mask[:, 5:] = False
    alone, together = encoder(Modality(steps, real(1, 5))), encoder(Modality(padded, mask))
    torch.testing.assert_close(together.x[:, :5], alone.x)
    assert not together.x[:, 5:].any()


@every
@pytest.mark.parametrize("contrast", [False, True])
def test_padding_changes_no_place_of_a_step(make: Callable[..., VideoEncoder], contrast: bool) -> None:
    encoder = built(make, places=3, contrast=contrast)
    steps = torch.randn(1, 5, 3, 6)
    padded = torch.cat([steps, torch.full((1, 2, 3, 6), 9.0)], dim=1)
    mask = real(1, 7)
    mask[:, 5:] = False
    alone, together = encoder(Modality(steps, real(1, 5))), encoder(Modality(padded, mask))
    assert alone.x.shape == (1, 15, 8)
    assert together.mask.tolist() == [[True] * 15 + [False] * 6]
    torch.testing.assert_close(together.x[:, :15], alone.x)
    assert not together.x[:, 15:].any()


@pytest.mark.parametrize(("make", "reads"), zip(MAKE, [False, True, True, True], strict=True), ids=NAMES)
def test_a_place_is_read_over_time_and_not_across_places(make: Callable[..., VideoEncoder], reads: bool) -> None:
    encoder = built(make, places=2)
    steps = torch.randn(1, 5, 2, 6)
    changed = steps.clone()
    changed[:, 3, 1] += 1
    before, after = (encoder(Modality(x, real(1, 5))).x.unflatten(1, (5, 2)) for x in (steps, changed))
    torch.testing.assert_close(before[:, :, 0], after[:, :, 0])
    assert not torch.allclose(before[:, 3, 1], after[:, 3, 1])
    assert torch.allclose(before[:, 2, 1], after[:, 2, 1]) is not reads


def test_equal_features_at_two_places_are_two_tokens() -> None:
    encoder = built(VideoEncoder, places=2)
    first, second = encoder(Modality(torch.ones(1, 1, 2, 6), real(1, 1))).x[0]
    assert not torch.allclose(first, second)


@every
def test_an_absent_video_gives_no_nan_and_no_token(make: Callable[..., VideoEncoder]) -> None:
    tokens = built(make)(Modality(torch.randn(2, 4, 6), real(2, 4) & torch.tensor([[True], [False]])))
    assert torch.isfinite(tokens.x).all()
    assert tokens.mask.sum().item() == 4
    assert not tokens.x[1].any()


@pytest.mark.parametrize(("make", "reads"), zip(MAKE, [False, True, True, True], strict=True), ids=NAMES)
def test_who_reads_over_time(make: Callable[..., VideoEncoder], reads: bool) -> None:
    encoder = built(make)
    steps = torch.randn(1, 6, 6)
    changed = steps.clone()
    changed[:, 3] += 1
    before, after = encoder(Modality(steps, real(1, 6))).x, encoder(Modality(changed, real(1, 6))).x
    assert not torch.allclose(before[:, 3], after[:, 3])
    assert torch.allclose(before[:, 2], after[:, 2]) is not reads


def test_without_positions_a_transformer_does_not_know_the_order() -> None:
    encoder = built(lambda dim: TransformerVideo(dim, num_heads=2, positions=False))
    steps = torch.randn(1, 6, 6)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    torch.testing.assert_close(
        encoder(Modality(steps[:, order], real(1, 6))).x, encoder(Modality(steps, real(1, 6))).x[:, order]
    )


def test_dropout_takes_the_same_features_of_all_steps() -> None:
    encoder = built(VideoEncoder, dropout=0.5).train()
    tokens = encoder(Modality(torch.ones(1, 4, 6), real(1, 4))).x
    torch.testing.assert_close(tokens, tokens[:, :1].expand(-1, 4, -1))


def test_dropout_takes_the_same_features_of_all_places() -> None:
    encoder = built(VideoEncoder, places=2, dropout=0.5).train()
    with torch.no_grad():
        encoder.place.zero_()
    first, second = encoder(Modality(torch.ones(1, 1, 2, 6), real(1, 1))).x[0]
    torch.testing.assert_close(first, second)


def test_each_place_of_a_picture_is_a_token() -> None:
    pictures = ResNetEncoder(layers=[1], base_width=8, stem="small", positions=False)
    encoder = built(VideoEncoder, pictures=pictures, grid=2)
    frames = torch.rand(1, 3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tokens = encoder(Modality(frames, real(1, 3)))
    assert tokens.x.shape == (1, 12, 8)
    cells = pictures(Modality(frames, real(1, 3))).x.unflatten(1, (3, 16, 16))  # of 32 pixels at stride 2
    lower_left = cells[:, :, 8:, :8].mean(dim=(2, 3))
    expected = torch.nn.functional.gelu(encoder.project(lower_left) + encoder.place[2])
    torch.testing.assert_close(tokens.x[:, 2::4], expected)


def test_places_of_pictures_that_a_lent_encoder_reads() -> None:
    lent = ResNetEncoder(layers=[1], base_width=8, stem="small", positions=False)
    lent.build({})
    encoder = VideoEncoder(8, pictures="image", grid=3)
    encoder.borrow({"image": lent})
    encoder.build({})
    tokens = encoder(Modality(torch.rand(2, 4, 3, 16, 24), real(2, 4)))
    assert tokens.x.shape == (2, 36, 8)


def test_what_has_no_such_places_is_refused() -> None:
    small = ResNetEncoder(layers=[1], base_width=8, stem="small")
    with pytest.raises(UserError, match="grid 9: the features of a picture have only 8 x 8 places"):
        built(VideoEncoder, pictures=small, grid=9)(Modality(torch.rand(1, 1, 3, 16, 16), real(1, 1)))
    with pytest.raises(UserError, match="reads pictures, but the data gives features"):
        built(VideoEncoder, pictures=small)(Modality(torch.rand(1, 2, 6), real(1, 2)))
    with pytest.raises(UserError, match="reads features, but the data gives pictures"):
        VideoEncoder(8).build({})
    with pytest.raises(UserError, match="reads features, but the data gives pictures"):
        built(VideoEncoder)(Modality(torch.rand(1, 2, 3, 4, 4), real(1, 2)))


@pytest.mark.parametrize(
    ("places", "step", "message"),
    [
        (1, (5,), "features of width 5, but the model learned from 6;"),
        (1, (4, 6), "features of 4 places of width 6, but the model learned from 1 of width 6;"),
        (4, (9, 6), "features of 9 places of width 6, but the model learned from 4 of width 6;"),
        (4, (6,), "features of 1 places of width 6, but the model learned from 4 of width 6;"),
    ],
)
def test_features_of_other_steps_are_refused(places: int, step: tuple[int, ...], message: str) -> None:
    with pytest.raises(UserError, match=message):
        built(VideoEncoder, places=places)(Modality(torch.zeros(1, 2, *step), real(1, 2)))


def test_pictures_are_encoded_each_on_its_own_and_padding_is_not() -> None:
    torch.manual_seed(0)
    encoder = VideoEncoder(8, pictures=ResNetEncoder(layers=[1], base_width=8, stem="small"))
    encoder.build({})
    frames = torch.rand(2, 3, 3, 16, 16)
    mask = real(2, 3)
    mask[1, 1:] = False
    frames[1, 1:] = float("nan")
    tokens = encoder.eval()(Modality(frames, mask))
    assert tokens.x.shape == (2, 3, 8)
    torch.testing.assert_close(tokens.x[1, 0], encoder(Modality(frames[1:, :1], real(1, 1))).x[0, 0])
    assert not tokens.x[1, 1:].any()


def test_a_video_that_follows_itself_is_encoded_once() -> None:
    pictures = ResNetEncoder(layers=[1], base_width=8, stem="small", positions=False)
    encoder = built(VideoEncoder, pictures=pictures)
    frames, mask = torch.rand(5, 4, 3, 8, 8), real(5, 4)
    frames[1], frames[3], frames[4] = frames[0], frames[2], frames[2]
    mask[4, 3:] = False  # of the same pixels, but shorter
    apart = [encoder(Modality(frames[i : i + 1], mask[i : i + 1])).x for i in range(5)]
    counts: list[int] = []
    pictures.register_forward_hook(lambda module, given, tokens: counts.append(len(tokens.x)))
    together = encoder(Modality(frames, mask)).x
    assert counts == [4 + 4 + 3]
    torch.testing.assert_close(together, torch.cat(apart))
    gradients = [torch.autograd.grad(x.square().sum(), pictures.conv1.weight)[0] for x in (together, torch.cat(apart))]
    torch.testing.assert_close(*gradients)


def test_a_long_video_is_encoded_a_few_pictures_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = ResNetEncoder(layers=[1], base_width=8, stem="small", positions=False)
    encoder = built(VideoEncoder, pictures=pictures)
    video = Modality(torch.rand(2, 9, 3, 8, 8), real(2, 9))
    whole = encoder(video).x.detach()
    counts: list[int] = []
    pictures.register_forward_hook(lambda module, given, tokens: counts.append(len(tokens.x)))
    monkeypatch.setattr("mmtasks.encoders.video.AT_ONCE", 7)
    with torch.inference_mode():
        torch.testing.assert_close(encoder(video).x, whole)
    assert counts == [7, 7, 4]
    encoder(video)
    assert counts[3:] == [18]  # where there are gradients, statistics and dropout are of the batch


@pytest.mark.parametrize("frozen", [True, False])
def test_in_training_only_an_encoder_that_learns_sees_all_pictures_at_once(
    monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    pictures = ResNetEncoder(layers=[1], base_width=8, stem="small", positions=False, frozen=frozen)
    encoder = VideoEncoder(8, pictures=pictures)
    encoder.build({})
    encoder.train()
    sizes: list[int] = []
    pictures.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0].data)))
    monkeypatch.setattr("mmtasks.encoders.video.AT_ONCE", 7)
    pixels = torch.rand(2, 10, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    out = encoder(Modality(pixels, torch.ones(2, 10, dtype=torch.bool))).x
    assert sizes == ([7, 7, 6] if frozen else [20])
    out.sum().backward()
    assert encoder.project.weight.grad is not None
    assert all((weight.grad is None) is frozen for weight in pictures.parameters())


def test_the_encoder_of_pictures_gets_gradients_of_a_batch_without_videos() -> None:
    encoder = VideoEncoder(8, pictures=ResNetEncoder(layers=[1], base_width=8, stem="small"))
    encoder.build({})
    encoder(Modality(torch.zeros(2, 3, 3, 16, 16), ~real(2, 3))).x.sum().backward()
    assert all(weight.grad is not None for weight in encoder.pictures.parameters())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VideoEncoder(7), "dim 7 must be even"),
        (lambda: VideoEncoder(8, dropout=1.0), "dropout 1.0"),
        (lambda: VideoEncoder(8, pictures="image", grid=0), "grid 0 must be at least 1"),
        (lambda: LSTMVideo(8, grid=2), "grid 2 without pictures"),
        (lambda: LSTMVideo(8, num_layers=0), "num_layers 0"),
        (lambda: TransformerVideo(8, num_heads=3), "multiple of num_heads 3"),
        (lambda: ConvVideo(8, kernels=(4,)), r"kernels \[4\] must be odd"),
    ],
)
def test_bad_arguments_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
