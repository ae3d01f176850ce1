"""A small h5 of video features, as the field lays it out."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np


def group_of(seed: int, *, steps: int = 12, people: int = 3, width: int = 6) -> dict[str, Any]:
    """One video: 10 frames a step, shots of 3 steps; people like the first feature."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((steps, width)).astype(np.float16)
    frames = 10 * steps
    liked = np.repeat(features[:, 0].astype(np.float32), 10)
    scores = np.stack([np.clip(np.round(3 + liked + 0.3 * rng.standard_normal(frames)), 1, 5) for _ in range(people)])
    starts = np.arange(0, frames, 30)
    gtscore = scores.mean(axis=0)[::10]
    return {
        "features": features,
        "picks": np.arange(0, frames, 10),
        "n_frames": frames,
        "n_steps": steps,
        "fps": 20.0,
        "gtscore": ((gtscore - gtscore.min()) / np.ptp(gtscore)).astype(np.float32),
        "user_scores": scores.astype(np.uint8),
        "user_summary": (scores >= 4).astype(np.uint8),
        "change_points": np.stack([starts, np.minimum(starts + 29, frames - 1)], axis=1),
        "title": f"a film about number {seed}",
        "category": "AB"[seed % 2],
    }


def write_h5(path: Path, count: int = 10, **changes: Any) -> Path:
    """Videos ``video_1`` …; changes to the first: a key's new value, or None to leave it out."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for k in range(count):
            group = file.create_group(f"video_{k + 1}")
            for key, value in (group_of(k) | (changes if k == 0 else {})).items():
                if value is not None:
                    group[key] = value
    return path


def write_splits(path: Path, count: int = 10, folds: int = 2) -> Path:
    """Each fold tests every so many of the videos."""
    names = [f"video_{k + 1}" for k in range(count)]
    splits = [{"train": [n for n in names if n not in names[f::folds]], "test": names[f::folds]} for f in range(folds)]
    path.write_text(json.dumps(splits))
    return path
