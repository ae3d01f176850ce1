"""What the commands ``transcribe`` and ``predict`` do with a speech-to-text model."""

import argparse
import os
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

from torch import Tensor
from tqdm import tqdm

from mmtasks.data.audio import Audio
from mmtasks.data.audio_blocks import SECONDS, RecordingBlocks, pcm_blocks, resample_blocks, sounding_blocks
from mmtasks.data.speech_channels import with_channels
from mmtasks.data.speech_rows import SpeechRow
from mmtasks.data.speech_sources import Recordings
from mmtasks.data.usable import check_share
from mmtasks.data.voice_activity import Detector, best_detector
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import Model, load
from mmtasks.inference.output import JsonLines, WholeFile, reason
from mmtasks.inference.speech import NOTHING, Segment, Transcriber
from mmtasks.inference.streaming import StreamingTranscriber
from mmtasks.inference.transcripts import WRITERS, TextWriter, rounded
from mmtasks.types import Word
from mmtasks.voice.grammar import Grammar

STDIN = "-"
AT_ONCE = 30.0
"""Seconds up to which ``predict`` transcribes a recording without cutting it."""
HELD = 960.0
"""Seconds of sound that ``predict`` loads before it transcribes them, those of like length together."""

Loaded: TypeAlias = tuple[SpeechRow, Audio | str]


def transcribe(options: argparse.Namespace) -> int:
    """Write the transcript of each file; 1 where one of them cannot be read, which is said in a line."""
    _check(options)
    own = None if options.grammar is None else Grammar.read(options.grammar)
    model = load(options.checkpoint, device=options.device, objectives=options.objectives)
    transcriber = Transcriber(model, prompt=options.prompt)
    transcriber.objective.grammar = own or transcriber.objective.grammar
    detector = best_detector()
    stream = StreamingTranscriber(transcriber, detector=detector) if options.files == [STDIN] else None
    failed = 0
    for file in options.files:
        try:
            _listen(stream, options) if stream else _transcribe(transcriber, detector, Path(file), options)
        except BrokenPipeError:  # whoever reads standard output has read enough
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 for what is flushed at the end
            return failed
        except (UserError, OSError) as error:
            print(f"mmtasks: error: {reason(error, file)}", file=sys.stderr)
            failed = 1
    return failed


def predict(options: argparse.Namespace, model: Model) -> None:
    """``{"id", "text", "score"}`` for each recording of a manifest; the score is null where nothing is spoken."""
    transcriber = Transcriber(model)
    rows = Recordings(options.manifest)
    problems = list(rows.problems)
    known = with_channels(rows, transcriber.processor) if transcriber.processor.equalises else rows
    with JsonLines(options.output) as out:
        loaded = _loaded(tqdm(known, desc="recordings", unit="recording", disable=None), transcriber)
        for line in _predict(transcriber, loaded):
            problems.append(line) if isinstance(line, str) else out.add(line)
        check_share(problems, out.count, options.max_bad_fraction)
    print(f"{out.count} recordings transcribed: {options.output}")


def _check(options: argparse.Namespace) -> None:
    if STDIN in options.files and len(options.files) > 1:
        raise UserError("- (standard input) cannot be given together with files; transcribe it alone")
    if options.grammar is not None and options.format != "json":
        raise UserError(f"--grammar {options.grammar}: only --format json tells commands, not {options.format}")
    if options.rate < 1000:
        raise UserError(f"--rate {options.rate}: give samples a second, at least 1000")
    if options.output is None:
        if len(options.files) > 1 and options.format != "txt":
            raise UserError(f"{len(options.files)} files as {options.format}: give --output DIR, a file for each")
        return
    names = [_target(file, options) for file in options.files]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise UserError(f"two of the files would be written to {twice}; transcribe them one after the other")
    try:
        Path(options.output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{options.output}: cannot be made ({error.strerror}); choose another --output") from None


def _target(file: str, options: argparse.Namespace) -> Path:
    stem = "stdin" if file == STDIN else Path(file).stem
    return Path(options.output) / f"{stem}.{options.format}"


@contextmanager
def _writer(transcriber: Transcriber, file: str, options: argparse.Namespace) -> Iterator[TextWriter]:
    """Where the transcript goes. Closed at a stop as well, so that what is kept of it can be read."""
    grammar = transcriber.objective.grammar
    with ExitStack() as stack:
        whole = None
        if options.output is not None:
            whole = stack.enter_context(WholeFile(_target(file, options), unit="segments", endless=file == STDIN))
        elif len(options.files) > 1:
            print(f"== {file} ==")
        out = WRITERS[options.format](whole.stream if whole else sys.stdout, file, grammar=grammar)
        try:
            yield out
        finally:
            out.close()
            if whole:
                whole.count = out.count


def _transcribe(transcriber: Transcriber, detector: Detector, path: Path, options: argparse.Namespace) -> None:
    """One file, with a bar that says how far it is; real-time factor: seconds of work for a second of sound."""
    blocks = RecordingBlocks(path, transcriber.rate)
    began, heard = time.perf_counter(), 0.0
    with (
        tqdm(total=round(blocks.seconds), unit="s", desc=path.name, disable=None) as bar,
        _writer(transcriber, str(path), options) as out,
    ):

        def counted() -> Iterator[Tensor]:
            nonlocal heard
            for block in blocks:
                heard += len(block) / transcriber.rate
                yield block

        for segment in transcriber.segments(counted(), detector):
            out.add(segment)
            bar.update(round(segment.end) - bar.n)
            bar.set_postfix_str(f"real-time factor {(time.perf_counter() - began) / segment.end:.3f}")
        bar.update(max(0, round(heard) - bar.n))
    took = time.perf_counter() - began
    found = f"{out.count} segments" if out.count else "no speech found"
    factor = f", real-time factor {took / heard:.3f}" if heard else ""
    print(f"{path}: {heard:.1f} s of sound in {took:.1f} s{factor}; {found}", file=sys.stderr)


def _listen(stream: StreamingTranscriber, options: argparse.Namespace) -> None:
    """Words while they are spoken; in a file or another format than text, what is said between two pauses."""
    raw = sounding_blocks(pcm_blocks(sys.stdin.buffer, options.rate, seconds=stream.chunk), "standard input")
    words: list[Word] = []
    with _writer(stream.transcriber, STDIN, options) as out:
        live = options.output is None and options.format == "txt"
        try:
            for said in stream(resample_blocks(raw, options.rate, stream.transcriber.rate)):
                words += said.words
                if live and said.words:
                    print(*(word.text for word in said.words), end=" ", flush=True)
                if said.paused:
                    spoken, words = words, []
                    if not live:
                        out.add(_segment(spoken))
        finally:  # a stop in the middle of a sentence
            if words and not live:
                out.add(_segment(words))
        if live:
            print()


def _segment(words: list[Word]) -> Segment:
    return Segment(words[0].start, words[-1].end, " ".join(word.text for word in words), None, words)


def _loaded(rows: Iterable[SpeechRow], transcriber: Transcriber) -> Iterator[Loaded]:
    """Each row, its prompt cleaned, with its recording, or why it cannot be used."""
    for row in rows:
        try:
            row = replace(row, prompt=transcriber.clean_prompt(row.prompt, row.language))
        except UserError as error:
            yield row, f"{row.where}: {error}"
        else:
            yield row, _load(row, films=transcriber.video is not None)


def _predict(transcriber: Transcriber, loaded: Iterable[Loaded]) -> Iterator[dict[str, Any] | str]:
    """A line for each row in turn, or why there is none; holds ``HELD`` seconds of sound and one recording more."""
    detector = best_detector()
    part: list[Loaded] = []
    seconds = 0.0
    for row, audio in loaded:
        part.append((row, audio))
        seconds += 0.0 if isinstance(audio, str) else audio.seconds
        if seconds >= HELD:
            yield from _lines(transcriber, detector, part)
            part, seconds = [], 0.0
    yield from _lines(transcriber, detector, part)


def _lines(transcriber: Transcriber, detector: Detector, part: list[Loaded]) -> Iterator[dict[str, Any] | str]:
    """The lines of some rows, the short ones of which are heard together, if anybody speaks in them.

    Those with a film that the model sees are heard always: it may understand what is lost in noise.
    """
    short = {i: audio for i, (_, audio) in enumerate(part) if isinstance(audio, Audio) and audio.seconds <= AT_ONCE}
    seen = {i for i in short if transcriber.video is not None and part[i][0].film is not None}
    spoken = [i for i, audio in short.items() if i in seen or transcriber.spoken(audio, detector)]
    rows = [part[i][0] for i in spoken]
    texts = transcriber.hear([short[i] for i in spoken], [row.film for row in rows], [row.prompt for row in rows])
    heard = dict.fromkeys(short, NOTHING) | dict(zip(spoken, texts, strict=True))
    for i, (row, audio) in enumerate(part):
        if isinstance(audio, str):
            yield audio
        elif i in heard:
            yield {"id": row.id, "text": heard[i].text, "score": rounded(heard[i].score)}
        else:
            yield {"id": row.id} | _long(transcriber, detector, audio, row.prompt)


def _long(transcriber: Transcriber, detector: Detector, audio: Audio, prompt: str) -> dict[str, Any]:
    blocks = resample_blocks(audio.samples.split(int(SECONDS * audio.rate)), audio.rate, transcriber.rate)
    segments = list(transcriber.segments(blocks, detector, prompt=prompt))
    scored = [(s.score, s.end - s.start) for s in segments if s.score is not None]
    seconds = sum(length for _, length in scored)
    score = sum(score * length for score, length in scored) / seconds if seconds else None
    return {"text": " ".join(s.text for s in segments), "score": rounded(score)}


def _load(row: SpeechRow, *, films: bool) -> Audio | str:
    """The recording, or why it cannot be used; ``films``: its film must be usable too."""
    try:
        if films and row.film is not None:
            row.film.check()
        return row.load()
    except UserError as error:
        return str(error)
