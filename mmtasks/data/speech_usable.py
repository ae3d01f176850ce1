"""Which utterances can be used: those that open, that sound, and whose text fits their length."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from mmtasks.data.audio import AudioProcessor
from mmtasks.data.clean import clean
from mmtasks.data.speech_channels import with_channels
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.data.tokenizer import Tokenizer, ctc_length
from mmtasks.data.usable import leave_out
from mmtasks.errors import UserError


def usable_utterances(
    source: SpeechSource,
    audio: AudioProcessor,
    steps: Sequence[str],
    *,
    characters_per_second: tuple[float, float],
    max_seconds: float,
    max_bad_fraction: float,
    films: bool = False,
    prompt_steps: Sequence[str] | None = None,
) -> list[SpeechRow]:
    """Rows with cleaned text and prompt, and ``seconds`` and ``key`` of the prepared recording.

    Each is opened once, and once more to know its speaker where ``audio`` equalises.

    Args:
        source: the rows.
        audio: preparation of the recordings.
        steps: cleaning steps of the transcripts.
        characters_per_second: the fewest and the most that a transcript may have; others are not of their recording.
        max_seconds: the longest utterance.
        max_bad_fraction: the share of unusable rows, 0–1, up to which they are left out.
        films: look at the films beside the recordings too.
        prompt_steps: cleaning steps of the prompts; None where they are not read.

    Raises:
        UserError: more unusable rows than that, or no usable one; it lists them.
    """

    def check(row: SpeechRow) -> SpeechRow | str:
        try:
            text = clean(row.text, steps, row.language)
            prompt = "" if prompt_steps is None else clean(row.prompt, prompt_steps, row.language)
        except UserError as error:
            return f"{row.where}: {error}"
        if not text:
            return f"{row.where}: no text is left after cleaning"
        try:
            recording = row.load()
            if films and row.film is not None:
                row.film.check()
        except UserError as error:
            return str(error)
        if recording.silent:
            return f"{row.where}: the recording is silent"
        samples = audio(recording)
        seconds = len(samples) / audio.rate
        if seconds > max_seconds:
            return f"{row.where}: {seconds:.1f} s, max_seconds is {max_seconds:g}"
        rate = len(text) / seconds
        if not characters_per_second[0] <= rate <= characters_per_second[1]:
            low, high = characters_per_second
            return f"{row.where}: {rate:.1f} characters a second, outside {low:g} to {high:g}: not of this recording?"
        key = hashlib.blake2b(samples.numpy().tobytes(), digest_size=16).hexdigest()
        return replace(row, text=text, prompt=prompt, seconds=seconds, key=key)

    source.make_ahead()
    rows = with_channels(source, audio) if audio.equalises else source
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoding releases the interpreter lock
        return leave_out(list(pool.map(check, rows)), source.problems, max_bad_fraction)


def unspellable(rows: Sequence[SpeechRow], tokenizer: Tokenizer) -> list[str]:
    """A line for each row whose transcript the tokenizer cannot write, and the model therefore never gets right."""
    return [problem for row in rows if (problem := _no_symbol(row, tokenizer))]


def writable(
    rows: Sequence[SpeechRow], tokenizer: Tokenizer, max_length: int, max_bad_fraction: float
) -> list[SpeechRow]:
    """Rows whose transcripts the tokenizer can write, and that are not too long.

    The others would teach its symbol for what it does not know, unless that is meant to be learned beside what it does.

    Args:
        rows: with cleaned text.
        tokenizer: makes the symbols.
        max_length: the most symbols of a transcript.
        max_bad_fraction: the share of others, 0–1, up to which they are left out.

    Raises:
        UserError: more others than that; it lists them.
    """

    def check(row: SpeechRow) -> SpeechRow | str:
        problem = _no_symbol(row, tokenizer)
        if problem and not (tokenizer.learns_unknown and tokenizer.decode(tokenizer.encode(row.text))):
            return problem
        length = len(tokenizer.encode(row.text))
        if length <= max_length:
            return row
        return f"{row.where}: the text has {length} tokens, text.max_length is {max_length}: raise it"

    return leave_out([check(row) for row in rows], [], max_bad_fraction)


def alignable(
    rows: Sequence[SpeechRow], tokenizer: Tokenizer, tokens: Callable[[float], int], max_bad_fraction: float
) -> list[SpeechRow]:
    """Rows whose recordings have a token for each symbol and for a blank between equal ones, as CTC needs.

    Args:
        rows: with ``seconds``.
        tokenizer: makes the symbols.
        tokens: how many there are of a recording of so many seconds, at least.
        max_bad_fraction: the share of others, 0–1, up to which they are left out.

    Raises:
        UserError: more others than that; it lists them.
    """

    def check(row: SpeechRow) -> SpeechRow | str:
        needed = ctc_length(tokenizer.encode(row.text))
        available = tokens(row.seconds or 0.0)
        if needed <= available:
            return row
        return f"{row.where}: CTC needs {needed} tokens for the text, {row.seconds:.2f} s are {available}"

    return leave_out([check(row) for row in rows], [], max_bad_fraction)


def _no_symbol(row: SpeechRow, tokenizer: Tokenizer) -> str:
    unknown = tokenizer.unknown(row.text)
    return f"{row.where}: the vocabulary has no symbol for {unknown[0]!r}" if unknown else ""
