"""Speech-to-text as a task."""

from mmtasks.backbone import Backbone
from mmtasks.objectives.speech import Transcription
from mmtasks.optim import AdamWCosine
from mmtasks.tasks.base import TaskModule


class SpeechToText(TaskModule):
    """Speech-to-text alone.

    Args:
        backbone: an encoder for ``audio``, others if there is more to go by, and their fusion.
        objective: head, losses and decoding.
        optimization: optimizer and schedule.
    """

    def __init__(
        self, backbone: Backbone, objective: Transcription, *, optimization: AdamWCosine | None = None
    ) -> None:
        super().__init__(backbone, {"transcription": objective}, optimization=optimization)

    @property
    def objective(self) -> Transcription:
        """The one objective."""
        return self.objectives["transcription"]  # type: ignore[return-value]
