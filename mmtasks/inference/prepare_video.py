"""What ``mmtasks prepare video`` does: video files to the structured h5 that a model of summaries trains on."""

import argparse
import json
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
import yaml
from tqdm import tqdm

from mmtasks.checkpoint import read_checkpoint
from mmtasks.config import describe, instantiate
from mmtasks.data.processes import cores
from mmtasks.data.summary_write import SummaryWriter, group_of
from mmtasks.data.video_features import VideoProcessor
from mmtasks.data.video_manifest import VideoManifest, VideoRow, video_files
from mmtasks.data.video_people import with_people
from mmtasks.data.video_sound import SoundProcessor
from mmtasks.encoders.base import Encoder
from mmtasks.encoders.efficientnet import VARIANTS, EfficientNetLite
from mmtasks.encoders.log_mel import LogMelAudio
from mmtasks.encoders.resnet import LAYERS, ResNetEncoder
from mmtasks.encoders.trained import TrainedEncoder
from mmtasks.errors import UserError
from mmtasks.inference.output import check_writable, reason

LOG_MEL = "log-mel"
RATE = 16_000
"""Samples a second that encoders of sound read, unless a checkpoint says otherwise."""


def prepare(options: argparse.Namespace) -> int:
    """Features, shots and people's judgement of every video; 1 where one is left out, which is said in a line."""
    output = Path(options.output)
    check_writable(output)
    if options.jobs < 1:
        raise UserError(f"--jobs {options.jobs}: give at least 1 process")
    rows, problems = _rows(options)
    processor = _processor(options)
    described = describe(processor)
    processor.build()  # what is wrong with the encoder is better told once than for every video
    writer = SummaryWriter(output, described)
    _check_judged(rows, writer)
    finished = writer.done()
    waiting = [row for row in rows if row.id not in finished]
    for problem in problems:
        _say(problem)
    failed, done = len(problems), 0
    try:
        with _answers(waiting, writer, described, options.device, options.jobs) as answers:
            for problem in tqdm(answers, total=len(waiting), desc="videos", unit="video", disable=None):
                failed += bool(problem)
                done += not problem
                if problem:
                    _say(problem)
                else:
                    writer.collect(always=False)
    finally:
        writer.collect()
    writer.close()
    kept = f", {len(rows) - len(waiting)} were there" if len(rows) > len(waiting) else ""
    left = f", {failed} left out" if failed else ""
    print(f"{done} videos prepared{kept}{left}: {output}")
    return int(failed > 0)


def _check_judged(rows: Sequence[VideoRow], writer: SummaryWriter) -> None:
    """What people said is written together with the features, which decide where shots and judged frames end."""
    finished = writer.unjudged()
    late = [row.id for row in rows if row.is_judged and row.id in finished]
    if late:
        writer.close()
        more = f" and {len(late) - 1} more" if len(late) > 1 else ""
        raise UserError(
            f"{writer.output}: holds {late[0]!r}{more} from before people judged them; choose another --output"
        )


def _rows(options: argparse.Namespace) -> tuple[Sequence[VideoRow], list[str]]:
    if bool(options.manifest) == bool(options.files):
        raise UserError("prepare video needs either --manifest FILE or video files")
    manifest = VideoManifest(options.manifest) if options.manifest else None
    rows = video_files(options.files) if manifest is None else manifest
    problems = [] if manifest is None else manifest.problems
    if options.people is None:
        return rows, problems
    judged, unusable = with_people(rows, options.people)
    return judged, [*problems, *unusable]


def _processor(options: argparse.Namespace) -> VideoProcessor:
    try:
        return VideoProcessor(
            options.rate,
            size=options.size,
            clean=options.clean,
            encoder=_encoder(options.encoder),
            grid=options.grid,
            sound=None if options.sound is None else _sound(options.sound),
        )
    except UserError:
        raise
    except ValueError as error:
        raise UserError(str(error)) from None


def _encoder(name: str) -> Encoder:
    """By a name that is short for one with pretrained weights, or by a file that describes one."""
    resnets = {f"resnet{depth}": depth for depth in LAYERS}
    if name.endswith(".ckpt"):
        return TrainedEncoder(name)
    if name in VARIANTS:
        return EfficientNetLite(variant=name)
    if name in resnets:
        return ResNetEncoder(resnets[name], weights="imagenet", positions=False, frozen=True)
    return _described(name, "--encoder", [*VARIANTS, *resnets])


def _sound(name: str) -> SoundProcessor:
    """What is made of the sound, by an encoder's name or by a file that describes one, at the rate that it reads."""
    if name.endswith(".ckpt"):
        rate = read_checkpoint(name)["mmtasks"]["facts"].get("audio", {}).get("rate", RATE)
        return SoundProcessor(TrainedEncoder(name, modality="audio"), rate=rate)
    return SoundProcessor(LogMelAudio() if name == LOG_MEL else _described(name, "--sound", [LOG_MEL]), rate=RATE)


def _described(name: str, option: str, names: list[str]) -> Encoder:
    """The encoder of a YAML file."""
    if Path(name).suffix not in (".yaml", ".yml", ".json"):
        raise UserError(f"{option} {name}: give {', '.join(names)}, a checkpoint or a YAML file")
    try:
        encoder = instantiate(yaml.safe_load(Path(name).read_text(encoding="utf-8")))
    except (OSError, ImportError, AttributeError, TypeError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{name}: describes no encoder ({' '.join(str(error).split())})") from None
    if not isinstance(encoder, Encoder):
        raise UserError(f"{name}: describes no encoder; give class_path and init_args of one of mmtasks.encoders")
    return encoder


@contextmanager
def _answers(
    rows: Sequence[VideoRow], writer: SummaryWriter, described: Any, device: str, jobs: int
) -> Iterator[Iterator[str]]:
    """For each row as it is finished, what is wrong with it, or ""."""
    if jobs == 1 or len(rows) < 2:
        worker = _Worker(writer, instantiate(described), device)
        yield (worker(row) for row in rows)
        return
    threads = max(1, cores() // jobs)
    start = (str(writer.output), json.dumps(described), device, threads)
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_start, initargs=start)
    try:
        futures = [pool.submit(_work, row) for row in rows]
        yield (future.result() for future in as_completed(futures))
    except BrokenProcessPool:
        raise UserError("a process was killed, perhaps for want of memory; run again, with fewer --jobs") from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


class _Worker:
    """Prepares one video after the other."""

    def __init__(self, writer: SummaryWriter, process: VideoProcessor, device: str) -> None:
        self.writer = writer
        self.process = process
        self.device = device

    def __call__(self, row: VideoRow) -> str:
        try:
            self.writer.add(row.id, group_of(row, self.process(row.path, device=self.device)))
        except (UserError, OSError) as error:
            told = reason(error, row.path)
            return told if row.where == str(row.path) else f"{row.where}: {told}"
        return ""


_worker: _Worker | None = None


def _start(output: str, described: str, device: str, threads: int) -> None:
    """In a new process: as many threads as are its share, and an end at Ctrl-C without a word."""
    global _worker
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    torch.set_num_threads(threads)
    description = json.loads(described)
    _worker = _Worker(SummaryWriter(output, description), instantiate(description), device)


def _work(row: VideoRow) -> str:
    assert _worker is not None
    return _worker(row)


def _say(problem: str) -> None:
    tqdm.write(f"mmtasks: error: {problem}", file=sys.stderr)
