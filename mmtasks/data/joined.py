"""Several sources of speech as one."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mmtasks.data.speech_rows import SpeechRow, SpeechSource


class Joined(SpeechSource):
    """The rows of several sources, one source after the other.

    Args:
        sources: in order.
        times: how often the rows of each come, so that little of one kind weighs as much as plenty of another; None for
            once.
        limit: take at most this many rows.
    """

    def __init__(
        self, sources: list[SpeechSource], *, times: list[int] | None = None, limit: int | None = None
    ) -> None:
        if not sources:
            raise ValueError("sources is empty; give at least one")
        if times is not None and (len(times) != len(sources) or min(times) < 1):
            raise ValueError(f"times {times} must be a number from 1 for each of {len(sources)} sources")
        if limit is not None and limit < 1:
            raise ValueError(f"limit {limit} must be at least 1, or None for all")
        self.sources = sources
        self.times = times
        self.limit = limit
        self.problems = [problem for source in sources for problem in source.problems]
        repeated = zip(sources, times or [1] * len(sources), strict=True)
        places = [(source, i) for source, count in repeated for _ in range(count) for i in range(len(source))]
        self._places = places[:limit]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        """Row ``index``, or a list of rows for a slice."""
        if isinstance(index, slice):
            return [_row(*place) for place in self._places[index]]
        return _row(*self._places[index])

    def make_ahead(self, rows: Sequence[int] | None = None) -> None:
        """By each source."""
        wanted: dict[int, dict[int, None]] = defaultdict(dict)
        for source, i in self._places if rows is None else [self._places[row] for row in rows]:
            wanted[id(source)][i] = None
        for source in {id(source): source for source in self.sources}.values():
            source.make_ahead(list(wanted[id(source)]))


def _row(source: SpeechSource, index: int) -> SpeechRow:
    row: SpeechRow = source[index]
    return row
