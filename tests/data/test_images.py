import pickle
import struct
import warnings
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from mmtasks.config import describe, instantiate
from mmtasks.data.collate import pad_modality
from mmtasks.data.images import ImageProcessor, open_image, orientation
from mmtasks.errors import UserError


def noise(*size):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))


def png_header(width, height):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    parts = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (chunk, data)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def fails(path, message):
    with pytest.raises(UserError, match=message) as caught:
        open_image(path, "m.jsonl:3")
    assert str(caught.value).startswith("m.jsonl:3: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif", "tif"])
def test_pictures_stay_usable_after_the_file_is_gone(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise(6, 8).save(path)
    image = open_image(path, "m.jsonl:3")
    path.unlink()
    assert ImageProcessor(["ExifTranspose", "RGB"])(image).shape == (1, 3, 6, 8)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "gif"])
def test_truncated_pictures(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise(40, 40).save(path)
    data = path.read_bytes()
    for length in (len(data) // 2, 12, 0):
        path.write_bytes(data[:length])
        fails(path, "a picture|cut off")


def test_missing_pictures_folders_and_other_files(tmp_path):
    fails(tmp_path / "no.png", "no such picture")
    fails(tmp_path, "no such picture")
    (tmp_path / "a.png").write_text("hello")
    fails(tmp_path / "a.png", "not a picture")


@pytest.mark.parametrize("size", [(10_001, 10_000), (60_000, 60_000)])
def test_decompression_bombs(tmp_path, size):
    (tmp_path / "a.png").write_bytes(png_header(*size))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fails(tmp_path / "a.png", "100 million pixels")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_picture_with_damaged_exif_is_taken_as_it_lies(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    noise(6, 8).save(path, exif=b"Exif\0\0garbage!")
    image = open_image(path, "m.jsonl:3")
    assert orientation(image) is None
    assert ImageProcessor(["ExifTranspose", "RGB"])(image).shape == (1, 3, 6, 8)


@pytest.mark.parametrize("name", ["os.remove", "subprocess.Popen", "builtins.exec", "numpy.memmap"])
def test_what_could_do_anything_is_no_step(name):
    with pytest.raises(ValueError, match=f"unknown image step '{name}'"):
        ImageProcessor([name])


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_becomes_three_channels(mode):
    pixels = ImageProcessor()(Image.new(mode, (5, 4)))
    assert pixels.shape == (1, 3, 224, 224)
    assert pixels.dtype == torch.float32
    assert 0 <= pixels.min() <= pixels.max() <= 1


def test_transparency_becomes_white_and_16_bit_keep_their_brightness():
    process = ImageProcessor(["RGB"])
    assert process(Image.new("RGBA", (1, 1), (9, 9, 9, 0))).min() == 1
    assert process(Image.new("I;16", (1, 1), 32768)).mean() == pytest.approx(0.5, abs=0.01)


def test_exif_orientation_is_followed(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(6, 8).save(tmp_path / "a.jpg", exif=exif)
    image = open_image(tmp_path / "a.jpg", "a")
    assert ImageProcessor(["ExifTranspose"])(image).shape == (1, 3, 8, 6)


def test_arguments_by_position_by_name_and_by_import_path():
    steps = ["RGB", {"Resize": {"size": [8, 8], "interpolation": "nearest"}}, {"CenterCrop": 4}]
    dotted = [*steps, "PIL.ImageOps.mirror", {"PIL.ImageOps.expand": {"border": 1}}]
    assert ImageProcessor(steps)(noise(9, 9)).shape == (1, 3, 4, 4)
    mirrored = ImageProcessor(dotted)(noise(9, 9))[:, :, 1:-1, 1:-1]
    assert torch.equal(mirrored, ImageProcessor(steps)(noise(9, 9)).flip(3))


def test_augmentation_is_for_training_only_and_seeded():
    crop = {"RandomResizedCrop": {"size": [6, 6], "scale": [0.5, 1.0]}}
    process = ImageProcessor(["RGB"], augment=[{"RandomHorizontalFlip": {"p": 1.0}}, {"ColorJitter": 0.5}, crop])
    assert process(noise(9, 9)).shape == (1, 3, 9, 9)
    torch.manual_seed(1)
    first = process(noise(9, 9), train=True)
    torch.manual_seed(1)
    assert torch.equal(first, process(noise(9, 9), train=True))
    assert first.shape == (1, 3, 6, 6)
    assert first.max() <= 1


def test_pickles_and_describes_itself():
    process = ImageProcessor(["ExifTranspose", "RGB", {"Resize": [4, 4]}], augment=["RandomHorizontalFlip"])
    assert process.steps == ["ExifTranspose", "RGB", {"Resize": [4, 4]}]
    for copy in (pickle.loads(pickle.dumps(process)), instantiate(describe(process))):
        assert copy.steps == process.steps
        assert copy.augment == ["RandomHorizontalFlip"]
        assert torch.equal(copy(noise(9, 9)), process(noise(9, 9)))


@pytest.mark.parametrize(
    "step", ["Blorp", "functional", "InterpolationMode", "no.such.step", "torch.pi", {"Blorp": 1}, 3]
)
def test_unknown_steps_are_named(step):
    name = next(iter(step)) if isinstance(step, dict) else str(step)
    for options in ({"steps": [step]}, {"augment": [step]}):
        with pytest.raises(ValueError, match=name):
            ImageProcessor(**options)


@pytest.mark.parametrize("step", [{"Resize": {"sizes": 3}}, "Resize", {"RandomHorizontalFlip": {"p": 3}}, {}])
def test_wrong_arguments_are_named(step):
    with pytest.raises(ValueError, match="image step"):
        ImageProcessor([step])


def test_pictures_without_three_channels():
    with pytest.raises(ValueError, match="RGB"):
        ImageProcessor([])(Image.new("L", (2, 2)))


def test_pictures_of_two_sizes_in_a_batch_say_what_to_do() -> None:
    with pytest.raises(UserError, match=r"3 x 4 x 4 and of 3 x 4 x 5 are in one batch.*Resize"):
        pad_modality([torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5)])


def test_it_tells_whether_the_model_sees_the_whole_picture():
    assert not ImageProcessor().crops
    assert ImageProcessor(["RGB", {"Resize": 256}, {"CenterCrop": 224}]).crops
