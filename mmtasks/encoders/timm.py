"""Any image model of the timm library, its last feature grid as tokens."""

from typing import Any, Self

from torch import Tensor

from mmtasks.encoders.batch_norms import freeze_batch_norms, keep_statistics
from mmtasks.encoders.vit import ImageEncoder, Normalise, grid_tokens
from mmtasks.errors import UserError
from mmtasks.types import Facts


class TimmEncoder(ImageEncoder):
    """The last feature grid of a timm model.

    Args:
        name: the model's name in timm, e.g. ``"resnet26d"``.
        weights: use timm's pretrained weights; batch norms stay as pretrained.
        frozen: the weights get no gradients and the module stays in evaluation mode.

    ``TimmEncoder("resnet26d")`` gives, of one 224 x 224 image each, ``x.shape`` (B, 49, 2048).
    """

    def __init__(self, name: str, *, weights: bool = False, frozen: bool = False) -> None:
        super().__init__(frozen=frozen)
        if not name:
            raise ValueError("name is empty: give the name of a model in timm")
        self.name = name
        self.weights = weights

    def build(self, facts: Facts) -> None:
        """Make the weights; pretrained ones are not read when ``facts["architecture"]`` is there.

        Raises:
            UserError: timm is not installed, or has no such model or weights.
        """
        try:
            import timm
        except ImportError as error:
            raise UserError("TimmEncoder needs the package timm: pip install 'mmtasks[timm]'") from error
        pretrained = self.weights and "architecture" not in facts
        try:
            self.model = timm.create_model(self.name, pretrained=pretrained, features_only=True)
        except (RuntimeError, ValueError, OSError, AttributeError) as error:
            reason = str(error).strip().split("\n")[0]
            raise UserError(f"{self.name}: timm cannot make it ({reason}); see timm.list_models()") from error
        self.width = self.model.feature_info.channels()[-1]
        config = getattr(self.model, "pretrained_cfg", None) or {}
        self.normalise = Normalise(config.get("mean", self.mean), config.get("std", self.std))
        if self.weights:
            freeze_batch_norms(self.model)
        self._freeze_if_frozen()
        self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Training mode, which a frozen encoder and pretrained batch norms never enter."""
        super().train(mode)
        if self.weights:
            keep_statistics(self)
        return self

    def learned_facts(self) -> dict[str, Any]:
        """Says that the weights come from a checkpoint."""
        return {"architecture": {"name": self.name}}

    def features(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, h * w, width)."""
        grid: Any = self.model(images)[-1]
        if grid.shape[1] != self.width:  # some models give (N, h, w, D)
            grid = grid.permute(0, 3, 1, 2)
        return grid_tokens(grid)
