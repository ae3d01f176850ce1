"""What the commands ``summarize`` and ``predict`` do with a model of video summaries."""

import argparse
import json
import math
import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from mmtasks.data.summary_h5 import SummaryH5
from mmtasks.data.usable import check_share
from mmtasks.data.video import probe
from mmtasks.data.video_manifest import VideoManifest
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import Model, load
from mmtasks.inference.output import JsonLines, reason, write
from mmtasks.inference.storyboard import Stills, storyboard
from mmtasks.inference.summary import Scored, Summarizer, Summary
from mmtasks.inference.summary_cut import cut
from mmtasks.inference.timeline import timeline

DIGITS = 4


def summarize(options: argparse.Namespace) -> int:
    """A folder of results for each file; 1 where one of them cannot be read, which is said in a line."""
    folders = _folders(options)
    summarizer = Summarizer(load(options.checkpoint, device=options.device, objectives=options.objectives))
    summarizer.check_query(options.query)
    failed = 0
    for file, folder in zip(options.files, folders, strict=True):
        try:
            _summarize(summarizer, Path(file), folder, options)
        except (UserError, OSError) as error:
            print(f"mmtasks: error: {reason(error, file)}", file=sys.stderr)
            failed = 1
    return failed


def predict(options: argparse.Namespace, model: Model) -> None:
    """``{"id", "scores", "picks", "segments"}`` for each video of a manifest, or of an h5 of features.

    Segments are in seconds, and null where the h5 does not tell the frame rate.
    """
    summarizer = Summarizer(model, needs_processor=options.h5 is None)
    source: Any = VideoManifest(options.manifest) if options.h5 is None else SummaryH5(options.h5)
    if isinstance(source, SummaryH5) and summarizer.reads_sound and not source.has_sound:
        raise UserError(f"{options.h5}: holds no sound, which the model reads; make it with --sound")
    problems = list(source.problems)
    with JsonLines(options.output) as out:
        for row in tqdm(source, desc="videos", unit="video", disable=None):
            try:
                scored = summarizer.score_row(row) if options.h5 else summarizer.score(row.path, query=row.title)
            except (UserError, OSError) as error:
                problems.append(reason(error, row.where))
                continue
            line = {"id": row.id, **_plain(summarizer.choose(scored))}
            out.add(line if scored.annotation.fps else line | {"segments": None})
        check_share(problems, out.count, options.max_bad_fraction)
    print(f"{out.count} videos scored: {options.output}")


def _folders(options: argparse.Namespace) -> list[Path]:
    """Where the results of each file go.

    Raises:
        UserError: a budget that is none, two files of one name, or a folder that cannot be made.
    """
    if options.ratio is not None and options.seconds is not None:
        raise UserError("give either --ratio or --seconds, not both")
    if options.ratio is not None and not 0 < options.ratio <= 1:
        raise UserError(f"--ratio {options.ratio}: give a share of the video's length, above 0 and at most 1")
    if options.seconds is not None and not 0 < options.seconds < math.inf:
        raise UserError(f"--seconds {options.seconds}: give a length above 0")
    folders = [Path(options.output) / Path(file).stem for file in options.files]
    if twice := next((folder for folder in folders if folders.count(folder) > 1), None):
        raise UserError(f"two of the files would be written to {twice}; summarize them one after the other")
    try:
        Path(options.output).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{options.output}: cannot be made ({error.strerror}); choose another --output") from None
    if not os.access(options.output, os.W_OK | os.X_OK):
        raise UserError(f"{options.output}: cannot be written; choose another --output")
    return folders


def _summarize(summarizer: Summarizer, path: Path, folder: Path, options: argparse.Namespace) -> None:
    """Score, choose, and write all that shows it; a bar says how far reading and cutting are."""
    began = time.perf_counter()
    with tqdm(total=round(probe(path).seconds), unit="s", desc=f"{path.name}: reading", disable=None) as bar:
        summary = summarizer.summarize(
            path,
            ratio=options.ratio,
            seconds=options.seconds,
            query=options.query,
            progress=partial(_move, bar),
        )
    _make(folder)
    scored = summary.scored
    length = sum(end - start for start, end in summary.segments)
    stills = Stills(summary.moments)
    with tqdm(total=round(length), unit="s", desc=f"{path.name}: cutting", disable=None) as bar:
        progress = partial(_move, bar)
        cut(path, summary.segments, folder / "summary.mp4", progress=progress, watch=stills.catch)
    title = f"{path.name}: “{options.query}”" if options.query else path.name
    storyboard(path, stills, folder / "storyboard.png", title=title)
    timeline(scored.scores, scored.seconds, scored.spans, summary.chosen, folder / "timeline.png", title=title)
    report = json.dumps(_report(path, summary, options.query), ensure_ascii=False, indent=2)
    write(folder / "summary.json", report + "\n")
    took, whole = time.perf_counter() - began, scored.spans[-1][1]
    print(f"{path}: {length:.1f} of {whole:.1f} s, {len(summary.chosen)} shots, in {took:.1f} s: {folder}")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another --output") from None


def _move(bar: Any, second: float) -> None:
    bar.update(max(0, min(round(second), bar.total) - bar.n))


def _report(path: Path, summary: Summary, query: str) -> dict[str, Any]:
    annotation = summary.scored.annotation
    return {
        "video": str(path),
        "seconds": round(summary.scored.spans[-1][1], DIGITS),
        "fps": round(annotation.fps, DIGITS),
        "n_frames": annotation.n_frames,
        "query": query,
        **_plain(summary),
        "shots": annotation.change_points.tolist(),
        "shot_seconds": [[round(start, DIGITS), round(end, DIGITS)] for start, end in summary.scored.spans],
        "chosen": summary.chosen,
    }


def _plain(summary: Summary) -> dict[str, Any]:
    scored: Scored = summary.scored
    return {
        "scores": np.round(scored.scores.astype(float), DIGITS).tolist(),
        "picks": scored.annotation.picks.tolist(),
        "segments": [[round(start, DIGITS), round(end, DIGITS)] for start, end in summary.segments],
    }
