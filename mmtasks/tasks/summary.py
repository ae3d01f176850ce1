"""Video summarization as a task."""

from mmtasks.backbone import Backbone
from mmtasks.objectives.summary import SummaryScoring
from mmtasks.optim import AdamWCosine
from mmtasks.tasks.base import TaskModule


class VideoSummarization(TaskModule):
    """Video summarization alone.

    Args:
        backbone: an encoder for ``video``, others if there is more to go by, and their fusion.
        objective: head and losses.
        optimization: optimizer and schedule.
    """

    def __init__(
        self, backbone: Backbone, objective: SummaryScoring, *, optimization: AdamWCosine | None = None
    ) -> None:
        super().__init__(backbone, {"summary": objective}, optimization=optimization)

    @property
    def objective(self) -> SummaryScoring:
        """The one objective."""
        return self.objectives["summary"]  # type: ignore[return-value]
