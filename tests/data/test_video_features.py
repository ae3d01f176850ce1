"""From a file to steps: sampling, cleaning, encoding in batches, and the description in a checkpoint."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip("av")

from mmtasks.config import describe, instantiate
from mmtasks.data.images import ImageProcessor
from mmtasks.data.video_features import VideoProcessor
from mmtasks.encoders.resnet import ResNetEncoder
from mmtasks.encoders.vit import ViTEncoder
from mmtasks.errors import UserError
from tests.clips import grey, write_clip


def small() -> ResNetEncoder:
    return ResNetEncoder(layers=[1], base_width=8, stem="small", positions=False, frozen=True)


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "a.mp4", grey(range(20, 220, 5)))


def test_pixels(clip):
    steps = VideoProcessor(2.0, size=[8, 12])(clip)
    assert steps.data.shape == (8, 3, 8, 12)
    assert steps.data.dtype == torch.float32
    np.testing.assert_allclose(steps.data.mean(dim=(1, 2, 3)), (20 + 25 * np.arange(8)) / 255, atol=0.02)
    assert steps.picks.tolist() == list(range(0, 40, 5))
    np.testing.assert_allclose(steps.seconds, np.arange(8) / 2, atol=1e-3)
    assert (steps.n_frames, steps.fps) == (40, pytest.approx(10, rel=1e-3))


def test_features_are_the_encoders_whatever_the_batch(clip):
    pixels = VideoProcessor(size=[8, 8])(clip).data
    encoder = small()
    whole = VideoProcessor(size=[8, 8], encoder=encoder)(clip).data
    assert whole.shape == (8, 8)
    assert not whole.requires_grad
    grid = encoder.features(encoder.normalise(pixels))
    torch.testing.assert_close(whole, grid.mean(dim=1))
    parts = VideoProcessor(size=[8, 8], encoder=encoder, batch_size=3)(clip).data
    torch.testing.assert_close(parts, whole)
    kept = VideoProcessor(size=[8, 8], encoder=encoder, pool=False)(clip).data
    torch.testing.assert_close(kept, grid)
    quarters = VideoProcessor(size=[8, 8], encoder=encoder, grid=2)(clip).data
    cells = grid.unflatten(1, (4, 4))
    assert quarters.shape == (8, 4, 8)
    torch.testing.assert_close(quarters[:, 1], cells[:, :2, 2:].mean(dim=(1, 2)))


def test_an_image_processor_replaces_squeezing(clip):
    image = ImageProcessor(["RGB", {"CenterCrop": [16, 20]}])
    assert VideoProcessor(size=None, image=image)(clip).data.shape == (8, 3, 16, 20)


def test_cleaning_leaves_gaps_in_picks(tmp_path):
    levels = [0] * 5 + [100] * 15 + [0] * 5 + [200] * 15
    clip = write_clip(tmp_path / "a.mp4", grey(levels))
    steps = VideoProcessor(2.0, size=[8, 8], clean=["black", "frozen"], batch_size=2)(clip)
    assert steps.picks.tolist() == [5, 25]
    assert len(steps.data) == len(steps.seconds) == 2
    assert steps.n_frames == 40


def test_nothing_but_black_is_told_in_a_line(tmp_path):
    clip = write_clip(tmp_path / "a.mp4", grey([0] * 30))
    with pytest.raises(UserError, match=r"a\.mp4: .*black.*none of 6 sampled frames") as caught:
        VideoProcessor(size=[8, 8], clean=["black"], encoder=small())(clip)
    assert "\n" not in str(caught.value)


def test_nothing_but_black_is_said_also_without_cleaning(tmp_path, capsys):
    black, late = (write_clip(tmp_path / f"{k}.mp4", grey([0] * 39 + [last])) for k, last in ((0, 0), (1, 240)))
    process = VideoProcessor(10.0, size=[8, 8], encoder=small())
    assert len(process(black).data) == 40
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"mmtasks: warning: {black}: all of 40 sampled frames are black")
    process(late)
    assert capsys.readouterr().err == ""


def test_a_description_gives_the_same_features(clip):
    image = ImageProcessor(["RGB", {"Resize": [8, 8]}])
    made = VideoProcessor(3.0, image=image, clean=["black", {"frozen": 0.01}], encoder=small(), batch_size=4)
    again = instantiate(json.loads(json.dumps(describe(made))))
    assert describe(again) == describe(made)
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    torch.testing.assert_close(made(clip).data, again(clip).data)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_progress_reaches_the_end(clip):
    told: list[float] = []
    VideoProcessor(size=[8, 8], batch_size=3)(clip, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(3.9, abs=0.01)
    assert len(told) == 4


def test_what_fails_in_the_encoder_is_not_hidden(clip):
    process = VideoProcessor(size=[8, 8], encoder=ViTEncoder(8, patch_size=5, num_layers=1, num_heads=2), batch_size=2)
    with pytest.raises(ValueError, match="multiples of 5"):
        process(clip)


@pytest.mark.parametrize(
    "options",
    [
        {"rate": 0},
        {"size": [0, 3]},
        {"size": [3]},
        {"size": None},
        {"batch_size": 0},
        {"clean": ["dark"]},
        {"grid": 0},
        {"grid": 2},
    ],
)
def test_bad_arguments_are_named(options):
    with pytest.raises(ValueError, match=next(iter(options)) if "clean" not in options else "dark"):
        VideoProcessor(**options)
