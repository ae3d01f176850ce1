"""The ``mmtasks`` command. Heavy imports stay inside functions: ``--help`` answers at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmtasks.errors import UserError, in_one_line

TRAINING = {"fit": "train a config", "validate": "measure on validation data", "test": "measure on test data"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. Errors a person can mend become one line."""
    if arguments is None:
        arguments = sys.argv[1:]
        sys.path.append(os.getcwd())  # last: a config finds the user's own packages, and they hide no other
    given = list(arguments)
    return in_one_line(lambda: _command(given))


def _command(arguments: list[str]) -> int | None:
    if arguments and arguments[0] in TRAINING:
        if len(arguments) == 1:
            raise UserError(f"{arguments[0]} needs --config FILE, for instance one of configs/*.yaml")
        from mmtasks.tasks.launch import launch

        launch(arguments)
        return None
    if arguments and arguments[0] == "crossval":
        from mmtasks.tasks.crossval import main as crossval

        crossval(arguments[1:])
        return None
    return _run(_parser().parse_args(arguments))


def _count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _share(text: str) -> float:
    """From 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share, 0 to 1")
    return share


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("mmtasks", description="Train and use models that read several modalities.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, purpose in TRAINING.items():
        commands.add_parser(name, help=f"{purpose} (--config FILE; `mmtasks {name} --help` lists every option)")
    commands.add_parser("crossval", help="train and test every fold of splits (`mmtasks crossval --help`)")
    predict = commands.add_parser(
        "predict", help="rank a manifest's images and captions, transcribe its recordings, or score its videos"
    )
    given = predict.add_mutually_exclusive_group(required=True)
    given.add_argument("--manifest", help="JSONL or CSV with id and image, captions; or id, audio; or id, video")
    given.add_argument("--h5", help="features of videos, written by `mmtasks prepare video`")
    predict.add_argument("--output", required=True, help="JSONL to write")
    predict.add_argument("--top", type=_count, default=10, help="how many results a query (images and captions)")
    predict.add_argument("--max-bad-fraction", type=_share, default=0.01, help="share of broken rows that is left out")
    transcribe = commands.add_parser("transcribe", help="the text of recordings of any length, or of a microphone")
    transcribe.add_argument(
        "files", nargs="+", metavar="FILE", help="a recording; - for raw 16-bit mono on standard input"
    )
    transcribe.add_argument("--format", choices=("txt", "srt", "vtt", "json"), default="txt", help="what is written")
    transcribe.add_argument("--output", metavar="DIR", help="folder for a file of each recording; else standard output")
    transcribe.add_argument("--rate", type=int, default=16_000, help="samples a second of standard input")
    transcribe.add_argument("--grammar", metavar="YAML", help="of voice commands, instead of the checkpoint's own")
    transcribe.add_argument("--prompt", default="", help="what to expect, where the model learned from prompts")
    search = commands.add_parser("search", help="the best pictures of a folder for a text")
    search.add_argument("text")
    search.add_argument("folder")
    search.add_argument("--top", type=_count, default=12, help="how many pictures")
    search.add_argument("--output", default="search.png", help="contact sheet to write")
    match = commands.add_parser("match", help="the probability that a text describes an image")
    match.add_argument("image")
    match.add_argument("text")
    match.add_argument("--show", metavar="PNG", help="draw each word's attention over the image")
    summarize = _add_summarize(commands)
    _add_prepare(commands)
    _add_new(commands)
    for command in (predict, transcribe, search, match, summarize):
        command.add_argument("--checkpoint", required=True, help="written by `mmtasks fit`")
        command.add_argument("--device", default="cpu", help="cpu, cuda, …")
        command.add_argument(
            "--objective",
            dest="objectives",
            nargs=1,
            metavar="NAME",
            help="whose, where the checkpoint leaves a choice",
        )
    return parser


def _add_summarize(commands: Any) -> argparse.ArgumentParser:
    summarize: argparse.ArgumentParser = commands.add_parser(
        "summarize", help="the best shots of a video: a shorter video, a storyboard, the scores"
    )
    summarize.add_argument("files", nargs="+", metavar="VIDEO")
    summarize.add_argument("--ratio", type=float, help="share of the video's length, 0 to 1 (default: the model's)")
    summarize.add_argument("--seconds", type=float, help="length of the summary, instead of --ratio")
    summarize.add_argument("--query", default="", help="what to look for, where the model reads titles")
    summarize.add_argument("--output", required=True, metavar="DIR", help="a folder for each video is made in it")
    return summarize


def _add_prepare(commands: Any) -> None:
    prepare = commands.add_parser("prepare", help="turn files into what a model trains on")
    kinds = prepare.add_subparsers(dest="kind", required=True, metavar="KIND")
    video = kinds.add_parser("video", help="features and shots of video files, in one h5; goes on where it stopped")
    video.add_argument("files", nargs="*", metavar="FILE", help="a video, named by its stem")
    video.add_argument("--manifest", help="JSONL with id, video, and perhaps title, category, scores or segments")
    video.add_argument("--people", metavar="H5", help="by id user_summary or user_scores, a row of frames a person")
    video.add_argument("--output", required=True, metavar="H5", help="to write; videos that it holds stay as they are")
    video.add_argument("--rate", type=float, default=2.0, help="frames a second")
    video.add_argument("--size", type=int, nargs=2, default=(224, 224), metavar=("H", "W"), help="of a frame in pixels")
    video.add_argument("--encoder", default="efficientnet-lite0", help="of images: a name, a checkpoint, or a YAML")
    video.add_argument("--grid", type=int, default=1, metavar="N", help="keep N x N places of a frame, a vector each")
    video.add_argument("--sound", metavar="ENCODER", help="of sound: log-mel, a checkpoint of speech, or a YAML")
    video.add_argument("--clean", nargs="*", default=(), metavar="STEP", help="leave out: black, frozen, duplicate")
    video.add_argument("--jobs", type=int, default=1, help="processes, each for a video")
    video.add_argument("--device", default="cpu", help="cpu, cuda, …")


def _add_new(commands: Any) -> None:
    new = commands.add_parser("new", help="start a task of your own")
    kinds = new.add_subparsers(dest="kind", required=True, metavar="KIND")
    task = kinds.add_parser("task", help="a package with a modality's encoder, an objective, data, a config and a test")
    task.add_argument("name", metavar="NAME", help="of the package and of the modality")
    task.add_argument("--output", default=".", metavar="DIR", help="the folder to write the package into")


def _new(options: argparse.Namespace) -> None:
    from mmtasks.scaffold import new_task

    for path in new_task(options.name, Path(options.output)):
        print(path)


def _run(options: argparse.Namespace) -> int:
    if options.command == "new":
        _new(options)
        return 0
    from mmtasks.inference import commands

    return int(getattr(commands, options.command)(options) or 0)


if __name__ == "__main__":
    sys.exit(main())
