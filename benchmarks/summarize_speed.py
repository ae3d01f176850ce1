"""`mmtasks summarize` on ten minutes of 720p against a plain loop: OpenCV decodes, the same encoder encodes.

Both read as many steps a second. Needs the package opencv-python-headless. The file is made of the real clips under
``MMTASKS_DATA``, enlarged and repeated; each side runs in a process of its own.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from benchmarks.result import write_result
from benchmarks.training import CONFIGS, SEED

RATE = 1.5
SIZE = (224, 224)
RATIO = 0.15
CLIPS = "$MMTASKS_DATA/summe_clips/clips.jsonl"
NOTES = {
    "opencv": "cv2.VideoCapture reads every frame, those at the rate are squeezed and encoded one by one",
    "ratio_scoring_vs_opencv": "the same work: frames decoded and encoded; ratio_vs_opencv: ours also cuts and draws",
}


def main() -> None:
    """Train a model for an epoch, make the video, run both sides, write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as folder:
        video = _made(Path(folder) / "long.mp4", minutes)
        checkpoint = _trained(Path(folder))
        ours = _side("ours", video, checkpoint)
        plain = _side("opencv", video, checkpoint)
    metrics = {
        "ratio_vs_opencv": plain["seconds"] / ours["seconds"],
        "ratio_scoring_vs_opencv": plain["seconds"] / ours["scoring_seconds"],
        "frames_a_second": ours["n_frames"] / ours["seconds"],
        "frames_a_second_opencv": plain["n_frames"] / plain["seconds"],
        "peak_extra_mb": ours["peak_mb"] - ours["model_mb"],
        "peak_extra_mb_opencv": plain["peak_mb"] - plain["model_mb"],
        "seconds_over_budget": ours["summary_seconds"] - RATIO * ours["video_seconds"],
        "longest_shot_seconds": ours["longest_shot"],
    }
    if minutes == parser.get_default("minutes"):
        write_result("summarize_speed", metrics, seed=SEED, notes=NOTES)
    else:
        print(json.dumps(metrics, indent=2))


def _made(path: Path, minutes: float) -> Path:
    """So many minutes of 1280 x 720, 25 frames a second, H.264, with a tone for sound."""
    import av
    import numpy as np

    clips = Path(os.path.expandvars(CLIPS))
    sources = [clips.parent / json.loads(line)["video"] for line in clips.read_text().splitlines()]
    total = round(minutes * 60 * 25)
    with av.open(str(path), "w") as target:
        video = target.add_stream("libx264", rate=25, options={"preset": "veryfast", "crf": "23"})
        video.width, video.height, video.pix_fmt = 1280, 720, "yuv420p"
        audio = target.add_stream("aac", rate=48_000, layout="mono")
        written = 0
        while written < total:
            for source in sources:
                with av.open(str(source)) as container:
                    for frame in container.decode(video=0):
                        if written == total:
                            break
                        large = frame.reformat(width=1280, height=720, format="yuv420p")
                        large.pts, large.time_base, large.pict_type = written, Fraction(1, 25), 0
                        target.mux(video.encode(large))
                        written += 1
        target.mux(video.encode())
        tone = (0.1 * np.sin(np.arange(48_000 * 10) * 0.05)).astype(np.float32)[None]
        for k in range(round(minutes * 6)):
            sound = av.AudioFrame.from_ndarray(tone, "fltp", "mono")
            sound.rate, sound.pts, sound.time_base = 48_000, k * tone.shape[1], Fraction(1, 48_000)
            target.mux(audio.encode(sound))
        target.mux(audio.encode())
    return path


def _trained(folder: Path) -> Path:
    from mmtasks.tasks.launch import launch

    options = [f"--trainer.default_root_dir={folder / 'run'}", "--trainer.max_epochs=1", f"--seed_everything={SEED}"]
    launch(["fit", f"--config={CONFIGS / 'tvsum.yaml'}", *options])
    return folder / "run" / "checkpoints" / "last.ckpt"


def _side(name: str, video: Path, checkpoint: Path) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.summarize_speed", name, str(video), str(checkpoint)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(name, found, flush=True)
    return found


def _ours(video: Path, checkpoint: Path) -> dict[str, Any]:
    """The whole command, cutting and pictures included."""
    import torch

    from mmtasks.cli import main as command
    from mmtasks.inference.summary import Summarizer

    summarizer = Summarizer(checkpoint)
    assert summarizer.processor is not None
    summarizer.processor.build()
    with torch.inference_mode():
        summarizer.processor.encoder(_one_picture())  # type: ignore[misc]
    model = _peak()
    start = time.perf_counter()
    summarizer.score(video)
    scoring = time.perf_counter() - start
    start = time.perf_counter()
    output = video.parent / "summary"
    command(["summarize", str(video), f"--checkpoint={checkpoint}", f"--output={output}", f"--ratio={RATIO}"])
    seconds = time.perf_counter() - start
    report = json.loads((output / video.stem / "summary.json").read_text())
    fps = report["fps"]
    return {
        "seconds": seconds,
        "scoring_seconds": scoring,
        "n_frames": report["n_frames"],
        "video_seconds": report["seconds"],
        "summary_seconds": sum(end - begin for begin, end in report["segments"]),
        "longest_shot": max(last - first + 1 for first, last in report["shots"]) / fps,
        "model_mb": model,
        "peak_mb": _peak(),
    }


def _opencv(video: Path, checkpoint: Path) -> dict[str, Any]:
    """Every frame decoded, those at the rate encoded, as one writes it down at first."""
    import cv2
    import torch

    from mmtasks.encoders.efficientnet import EfficientNetLite
    from mmtasks.types import Modality

    encoder = EfficientNetLite()
    encoder.build({})
    encoder.eval()
    mask = torch.ones(1, 1, dtype=torch.bool)
    features, count, wanted = [], 0, 0.0
    with torch.inference_mode():
        encoder(_one_picture())
        model = _peak()
        start = time.perf_counter()
        capture = cv2.VideoCapture(str(video))
        step = capture.get(cv2.CAP_PROP_FPS) / RATE
        while True:
            found, image = capture.read()
            if not found:
                break
            if count >= wanted:
                wanted += step
                image = cv2.cvtColor(cv2.resize(image, SIZE, interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
                pixels = torch.from_numpy(image).permute(2, 0, 1).float()[None, None] / 255
                features.append(encoder(Modality(pixels, mask)).x.mean(dim=1))
            count += 1
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "n_frames": count, "steps": len(features), "model_mb": model, "peak_mb": _peak()}


def _one_picture() -> Any:
    import torch

    from mmtasks.types import Modality

    return Modality(torch.zeros(1, 1, 3, *SIZE), torch.ones(1, 1, dtype=torch.bool))


def _peak() -> float:
    """The most memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    if len(sys.argv) == 4:
        side = _ours if sys.argv[1] == "ours" else _opencv
        print(json.dumps(side(Path(sys.argv[2]), Path(sys.argv[3]))))
    else:
        main()
