"""Open pictures safely and turn them into tensors, by named steps."""

import inspect
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from mmtasks.config import import_path, may_be_called, may_be_made
from mmtasks.configured import Configured
from mmtasks.errors import UserError

MAX_PIXELS = 100_000_000
DEFAULT_STEPS: tuple[str | dict[str, Any], ...] = ("ExifTranspose", "RGB", {"Resize": [224, 224]})


def open_image(path: str | Path, where: str) -> Image.Image:
    """The picture, fully read. ``where`` names the row in messages.

    Raises:
        UserError: no such file, truncated, not a picture, or more than 100 million pixels.
    """
    name = where if where == str(path) else f"{where}: {path}"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the size is checked here
            image = Image.open(path)
        with image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError
            image.load()
    except (FileNotFoundError, IsADirectoryError):
        raise UserError(f"{name}: no such picture; check the path") from None
    except Image.DecompressionBombError:
        raise UserError(f"{name}: more than {MAX_PIXELS // 10**6} million pixels; make the picture smaller") from None
    except Image.UnidentifiedImageError:
        raise UserError(f"{name}: not a picture; give a JPEG, PNG or WebP file") from None
    except Exception as error:  # Pillow's decoders raise many kinds on damaged files
        reason = " ".join(str(error).split())
        raise UserError(f"{name}: cannot be read ({reason}); the picture may be cut off, copy it again") from None
    return image


def orientation(image: Image.Image) -> int | None:
    """How the camera was held, as EXIF numbers it; None where the picture does not tell, or its EXIF is damaged."""
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # Pillow raises many kinds on damaged EXIF, whose picture may be whole
        return None


def exif_transpose(image: Image.Image) -> Image.Image:
    """Turn the picture as its camera was held."""
    return image if orientation(image) is None else ImageOps.exif_transpose(image)


def rgb(image: Image.Image) -> Image.Image:
    """Three channels: grey is repeated, what is transparent becomes white, 16 bit become 8."""
    if image.mode.startswith("I"):
        image = image.convert("I").point(lambda value: value * (1 / 256)).convert("L")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


OURS: dict[str, Callable[[Image.Image], Image.Image]] = {"ExifTranspose": exif_transpose, "RGB": rgb}


class ImageProcessor(Configured):
    """Pictures to tensors.

    A step is the name of a class in ``torchvision.transforms.v2``, ``ExifTranspose``, ``RGB`` or a dotted import path;
    or ``{name: argument}``, where a dict gives keyword arguments and anything else is the one positional argument.

    Args:
        steps: applied to the picture, always; None for ``[ExifTranspose, RGB, {Resize: [224, 224]}]``.
        augment: applied after them to the tensor (3, H, W) in [0, 1], in training only.

    >>> ImageProcessor(["RGB", {"Resize": [8, 6]}])(Image.new("L", (20, 10))).shape
    torch.Size([1, 3, 8, 6])
    """

    def __init__(
        self, steps: list[str | dict[str, Any]] | None = None, *, augment: list[str | dict[str, Any]] | None = None
    ) -> None:
        self.steps = list(DEFAULT_STEPS if steps is None else steps)
        self.augment = list(augment or [])
        self._steps = [_make(step) for step in self.steps]
        self._augment = [_make(step) for step in self.augment]

    @property
    def crops(self) -> bool:
        """Whether a step leaves out parts of the picture, as far as its name tells."""
        return any("crop" in str(step).lower() for step in self.steps)

    def __call__(self, image: Image.Image, *, train: bool = False) -> Tensor:
        """A picture -> (1, 3, H, W) float in [0, 1]; random steps draw from torch's generator."""
        value: Any = image
        for step in self._steps:
            value = step(value)
        pixels = value if isinstance(value, Tensor) else F.pil_to_tensor(value)
        pixels = F.to_dtype(pixels, torch.float32, scale=True)
        if train:
            for step in self._augment:
                pixels = step(pixels)
        if pixels.shape[:-2] != (3,):
            raise ValueError(f"the steps {self.steps} give {tuple(pixels.shape)}, not (3, H, W): add the step 'RGB'")
        return pixels.as_subclass(Tensor).clamp(0, 1).unsqueeze(0)


def _make(step: str | dict[str, Any]) -> Callable[[Any], Any]:
    name: Any = step
    argument: Any = None
    if isinstance(step, dict):
        if len(step) != 1:
            raise ValueError(f"image step {step!r} must have one name, as {{'Resize': [224, 224]}}")
        [(name, argument)] = step.items()
    made = _named(name)
    try:
        if not inspect.isclass(made):
            return partial(made, **argument) if isinstance(argument, dict) else _without(made, argument)
        return _construct(made, argument)
    except (TypeError, ValueError) as error:
        raise ValueError(f"image step {step!r}: {error}") from None


def _construct(cls: Callable[..., Any], argument: Any) -> Callable[[Any], Any]:
    if isinstance(argument, dict):
        argument = {key: _value(key, value) for key, value in argument.items()}
        return cls(**argument)
    return cls() if argument is None else cls(argument)


def _without(function: Callable[[Any], Any], argument: Any) -> Callable[[Any], Any]:
    if argument is not None:
        raise ValueError(f"a function takes its arguments by name, not {argument!r}")
    return function


def _value(key: str, value: Any) -> Any:
    return v2.InterpolationMode(value) if key == "interpolation" and isinstance(value, str) else value


def _named(name: Any) -> Any:
    if name in OURS:
        return OURS[name]
    if isinstance(name, str) and "." in name:
        try:
            found = import_path(name)
        except (ImportError, AttributeError, ValueError):
            raise ValueError(f"image step {name!r} cannot be imported: check the dotted path") from None
        if may_be_made(found) or may_be_called(found):
            return found
    else:
        found = getattr(v2, str(name), None)
        if inspect.isclass(found) and issubclass(found, v2.Transform):
            return found
    allowed = [*OURS, "a class of torchvision.transforms.v2", "a dotted import path of a module or function"]
    raise ValueError(f"unknown image step {name!r}: give one of {allowed}")
