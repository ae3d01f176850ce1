"""What every source of recordings with transcripts gives."""

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmtasks.data.audio import Audio
from mmtasks.data.speech_film import Film


@dataclass(frozen=True)
class SpeechRow:
    """One utterance.

    ``load`` opens the recording when called; ``where`` names the row in messages, as "file.jsonl:12"; ``seconds`` is
    its length, where the source knows it without opening; ``key`` tells recordings apart by their content, where that
    is known; ``speaker`` and ``language`` are empty where unknown; ``film`` is what was filmed meanwhile, None
    where nothing was; ``prompt`` is what is known beforehand of what is said, empty where nothing is.
    """

    id: str
    text: str
    load: Callable[[], Audio]
    where: str
    seconds: float | None = None
    speaker: str = ""
    language: str = ""
    key: str = ""
    film: Film | None = None
    prompt: str = ""


class SpeechSource(Sequence[SpeechRow]):
    """A sequence of utterances. ``problems`` lists rows that were left out, one line each."""

    problems: tuple[str, ...] | list[str] = ()

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: Any) -> Any: ...

    def make_ahead(self, rows: Sequence[int] | None = None) -> None:
        """Make now, by all cores, what would else be made when a row is first loaded; of all rows by default.

        Nothing to do where all is recorded.
        """
