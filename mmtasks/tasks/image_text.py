"""Image-text matching as a task."""

from mmtasks.backbone import Backbone
from mmtasks.objectives.image_text import ImageText
from mmtasks.optim import AdamWCosine
from mmtasks.tasks.base import TaskModule


class ImageTextMatching(TaskModule):
    """Image-text matching alone.

    Args:
        backbone: encoders for ``image`` and ``text``, and their fusion.
        objective: losses, matching head and re-ranking.
        optimization: optimizer and schedule.
    """

    def __init__(self, backbone: Backbone, objective: ImageText, *, optimization: AdamWCosine | None = None) -> None:
        super().__init__(backbone, {"image_text": objective}, optimization=optimization)

    @property
    def objective(self) -> ImageText:
        """The one objective."""
        return self.objectives["image_text"]  # type: ignore[return-value]
