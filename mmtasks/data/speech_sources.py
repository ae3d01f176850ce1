"""Speech on disk: our manifests, LibriSpeech, LJSpeech and Common Voice. All give the same rows."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mmtasks.data.audio import Audio, open_audio
from mmtasks.data.manifest import expand, read_rows, read_text, resolve
from mmtasks.data.speech_film import FilmFile
from mmtasks.data.speech_rows import SpeechRow, SpeechSource
from mmtasks.errors import UserError

ROUNDING = 0.05
"""Seconds by which a manifest's times may be rounded."""


class Found(NamedTuple):
    """One row as the file has it. audio: None where the file names none; start, end, seconds: in seconds."""

    id: str
    text: Any
    audio: Path | None
    where: str
    start: float = 0.0
    end: float | None = None
    seconds: float | None = None
    speaker: str = ""
    language: str = ""
    video: Path | None = None
    prompt: str = ""


class Kept:
    """What a function gives, worked out once; as ``functools.cache``, which processes of loaders cannot be handed."""

    def __init__(self, load: Callable[[], Audio]) -> None:
        self._load = load
        self._audio: Audio | None = None

    def __call__(self) -> Audio:
        """The recording."""
        if self._audio is None:
            self._audio = self._load()
        return self._audio


class DiskSpeech(SpeechSource):
    """Utterances whose recordings are files; subclasses say what their files hold.

    A row without recording or with an empty transcript is left out and described in ``problems``.
    """

    def _keep(self, found: Iterable[Found], *, transcripts: bool = True) -> None:
        self.problems: list[str] = []
        self._rows: list[SpeechRow] = []
        for row in found:
            problem = _problem(row, transcripts=transcripts)
            if problem or row.audio is None:
                self.problems.append(f"{row.where}: {problem}")
                continue
            load = partial(_open_part, row.audio, row.where, row.start, row.end)
            seconds = row.end - row.start if row.end is not None else row.seconds
            text = row.text.strip() if transcripts else ""
            film = None if row.video is None else FilmFile(row.video, row.where, start=row.start, end=row.end)
            kept = SpeechRow(row.id, text, load, row.where, seconds, row.speaker, row.language)
            self._rows.append(replace(kept, film=film, prompt=row.prompt))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]


class SpeechManifest(DiskSpeech):
    """A JSONL or CSV file with ``id``, ``audio`` and ``text``.

    ``audio`` is a path from the manifest's folder. A row may also have ``start`` and ``end`` (seconds: the utterance is
    that part of the recording), ``duration`` (seconds), ``speaker``, ``language``, ``video``, the path of what was
    filmed meanwhile, which starts when the recording does, and ``prompt``, a text that says what to expect.

    Args:
        path: the file; ``$MMTASKS_DATA`` and other environment variables are filled in.
        speakers: take only rows of these; None for all.
        limit: take at most this many rows, after those skipped.
        skip: leave out this many rows at the start.
        keep: hold every recording in memory once it was decoded, four bytes a sample: for a training of many epochs.

    Raises:
        UserError: the file or a row of it is unusable.
    """

    def __init__(
        self,
        path: str,
        *,
        speakers: list[str] | None = None,
        limit: int | None = None,
        skip: int = 0,
        keep: bool = False,
    ) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"limit {limit} must be at least 1, or None for all")
        if skip < 0:
            raise ValueError(f"skip {skip} must be at least 0")
        self.path = path
        self.speakers = speakers
        self.limit = limit
        self.skip = skip
        self.keep = keep
        file = Path(expand(path))
        found = [_from_row(file.parent, *row) for row in read_rows(file, columns=("id", "audio", "text"))]
        if speakers is not None:
            unknown = sorted(set(speakers) - {row.speaker for row in found})
            if unknown:
                raise UserError(f"{path}: no row has the speaker {unknown[0]!r}; check the column 'speaker'")
            found = [row for row in found if row.speaker in speakers]
        self._keep(found[skip : None if limit is None else skip + limit])
        if keep:
            self._rows = [replace(row, load=Kept(row.load)) for row in self._rows]


class Recordings(DiskSpeech):
    """A JSONL or CSV file with ``id`` and ``audio``, perhaps ``video`` and ``prompt``, of recordings to be transcribed.

    Args:
        path: the file.

    Raises:
        UserError: the file or a row of it is unusable.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        file = Path(expand(path))
        rows = (_from_row(file.parent, *row) for row in read_rows(file, columns=("id", "audio")))
        self._keep(rows, transcripts=False)


class LibriSpeech(DiskSpeech):
    """A folder of LibriSpeech: ``SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt`` beside ``….flac`` (Panayotov et al. 2015).

    Args:
        folder: one split, as ``train-clean-100``.

    Raises:
        UserError: no transcript below the folder.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        root = Path(expand(folder))
        files = sorted(root.rglob("*.trans.txt"))
        if not files:
            raise UserError(f"{root}: no *.trans.txt below; give the folder of a split of LibriSpeech")
        self._keep(found for file in files for found in self._chapter(file))

    def _chapter(self, file: Path) -> Iterator[Found]:
        for number, line in _lines(file):
            name, _, text = line.partition(" ")
            speaker = name.partition("-")[0]
            audio = file.parent / f"{name}.flac"
            yield Found(name, text.lower(), audio, f"{file.name}:{number}", speaker=speaker, language="en")


class LJSpeech(DiskSpeech):
    """A folder of LJSpeech: ``metadata.csv`` (name|text|normalised text) beside ``wavs/NAME.wav`` (Ito & Johnson 2017).

    Args:
        folder: where ``metadata.csv`` is.

    Raises:
        UserError: the file is missing or malformed.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self._keep(self._read(Path(expand(folder))))

    def _read(self, root: Path) -> Iterator[Found]:
        for number, line in _lines(root / "metadata.csv"):
            where = f"metadata.csv:{number}"
            parts = line.split("|")
            if len(parts) < 2:
                raise UserError(f"{where}: not 'name|text|normalised text'; give the folder of LJSpeech")
            yield Found(parts[0], parts[-1], resolve(root, f"wavs/{parts[0]}.wav", where), where, language="en")


class CommonVoice(DiskSpeech):
    """A TSV of Common Voice: ``path``, ``sentence``, ``client_id``, ``locale``; recordings in ``clips/`` beside it.

    Args:
        tsv: the file, as ``train.tsv``.

    Raises:
        UserError: the file is missing or malformed.
    """

    def __init__(self, tsv: str) -> None:
        self.tsv = tsv
        self._keep(self._read(Path(expand(tsv))))

    def _read(self, file: Path) -> Iterator[Found]:
        reader = csv.DictReader(io.StringIO(read_text(file), newline=""), delimiter="\t", quoting=csv.QUOTE_NONE)
        missing = {"path", "sentence"} - set(reader.fieldnames or [])
        if missing:
            raise UserError(f"{file.name}:1: column {min(missing)!r} is missing; give a TSV of Common Voice")
        for row in reader:
            where = f"{file.name}:{reader.line_num}"
            name = row["path"] or ""
            audio = resolve(file.parent / "clips", name, where) if name else None
            speaker, language = row.get("client_id") or "", row.get("locale") or ""
            yield Found(Path(name).stem, row["sentence"], audio, where, speaker=speaker, language=language)


def _open_part(path: Path, where: str, start: float, end: float | None) -> Audio:
    """The recording between two seconds.

    Raises:
        UserError: see ``open_audio``; or the recording ends before ``end``.
    """
    audio = open_audio(path, where, start=start, end=end)
    if end is not None and audio.seconds < end - start - ROUNDING:
        ends = start + audio.seconds
        raise UserError(f"{where}: {path}: end is {end:g} s, the recording ends at {ends:.2f} s; correct end")
    return audio


def _problem(row: Found, *, transcripts: bool) -> str | None:
    if row.audio is None:
        return "names no recording"
    try:
        if not row.audio.is_file():
            return f"no such recording {row.audio}"
    except OSError as error:  # a name too long, a folder that may not be entered
        return f"the recording {row.audio} cannot be read ({error.strerror})"
    if not transcripts:
        return None
    if not isinstance(row.text, str):
        return f"the text is {row.text!r}, not text"
    if not row.text.strip():
        return "the text is empty"
    return None


def _from_row(folder: Path, where: str, row: dict[str, Any]) -> Found:
    audio = row.get("audio")
    named = isinstance(audio, str) and audio.strip()
    start, end, seconds = (_seconds(row, column, where) for column in ("start", "end", "duration"))
    if end is not None and end <= (start or 0):
        raise UserError(f"{where}: end {end} is not after start {start or 0}; both are seconds into the recording")
    return Found(
        row["id"],
        row.get("text"),
        resolve(folder, str(audio), where) if named else None,
        where,
        start or 0.0,
        end,
        seconds if seconds is None or not start else seconds - start,
        str(row.get("speaker") or ""),
        str(row.get("language") or ""),
        _video(row, folder, where),
        _prompt(row, where),
    )


def _video(row: dict[str, Any], folder: Path, where: str) -> Path | None:
    value = row.get("video")
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise UserError(f"{where}: video is {value!r}; give the path of a file, or leave it out")
    return resolve(folder, value, where)


def _prompt(row: dict[str, Any], where: str) -> str:
    value = row.get("prompt")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UserError(f"{where}: prompt is {value!r}; give a text, or leave it out")
    return value


def _seconds(row: dict[str, Any], column: str, where: str) -> float | None:
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise UserError(f"{where}: {column} is {value!r}; give seconds, 0 or more")
    return seconds


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines that are not empty."""
    for number, line in enumerate(read_text(file).split("\n"), start=1):
        if line.strip():
            yield number, line.strip("\r\n")
