"""Each speaker's channel, found in all of his recordings."""

from collections import defaultdict
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from mmtasks.data.audio import Audio, AudioProcessor
from mmtasks.data.channel import Channel
from mmtasks.data.processes import cores
from mmtasks.data.speech_rows import SpeechRow
from mmtasks.errors import UserError


def with_channels(rows: Iterable[SpeechRow], audio: AudioProcessor) -> list[SpeechRow]:
    """Rows whose recordings bring their speaker's channel, for which each is opened once.

    Those of an unknown speaker stay as they are, and so does what cannot be opened: who uses it says why.
    """
    rows = list(rows)
    known = [row for row in rows if row.speaker]
    with ThreadPoolExecutor(cores()) as pool:
        found = list(pool.map(partial(_channel, audio), known))
    spoken: defaultdict[str, list[Channel]] = defaultdict(list)
    for row, channel in zip(known, found, strict=True):
        if channel is not None:
            spoken[row.speaker].append(channel)
    channels = {speaker: Channel.together(parts) for speaker, parts in spoken.items()}
    return [
        replace(row, load=partial(_through, row.load, channels[row.speaker])) if row.speaker in channels else row
        for row in rows
    ]


def _channel(audio: AudioProcessor, row: SpeechRow) -> Channel | None:
    try:
        return audio.channel([row.load()])
    except UserError:
        return None


def _through(load: Callable[[], Audio], channel: Channel) -> Audio:
    return load()._replace(channel=channel)
