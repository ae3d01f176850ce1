"""The row of a table that knows single frames only: what it reaches needs neither order, nor sound, nor a title."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPOCHS = 20
BATCH = 256
DROPOUT = 0.5
STEPS = 20_000
"""More steps of training are thinned out evenly, so that days of video take no more time and memory than hours."""
SIDE = 8
"""Pixels are averaged to a picture of so many a side."""


def per_frame_mlp(
    learned: Iterable[Tensor],
    targets: Sequence[np.ndarray],
    asked: Iterable[Tensor],
    *,
    seed: int = 0,
    hidden: int = 128,
) -> list[np.ndarray]:
    """Scores (T,) of each video asked for, by two layers that see one frame at a time; nothing about them is chosen.

    Mean squared error, half of the features and of the hidden units dropped, 20 epochs of AdamW at 1e-3, the last
    weights. Steps are features (T, D), or (T, P, D) of places, which are averaged, or pixels (T, 3, H, W).

    Args:
        learned: the steps of each training video.
        targets: (T,) of each training video, importance in 0-1; at least one video.
        asked: the steps of each video to score.
        seed: of weights and order.
        hidden: width between the two layers.

    >>> frames = torch.rand(200, 3, generator=torch.Generator().manual_seed(0))
    >>> [scores] = per_frame_mlp([frames], [frames[:, 0].numpy()], [torch.eye(3)])
    >>> int(scores.argmax())
    0
    """
    with torch.inference_mode(mode=False), torch.enable_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        stride = math.ceil(sum(map(len, targets)) / STEPS)
        x = torch.cat([_vectors(steps[::stride]) for steps in learned])
        y = torch.from_numpy(np.concatenate([target[::stride] for target in targets])).float()
        mean, std = x.mean(dim=0), x.std(dim=0, correction=0).clamp(min=1e-4)
        layers = (
            nn.Dropout(DROPOUT),
            nn.Linear(x.shape[1], hidden),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(hidden, 1),
        )
        network = nn.Sequential(*layers)
        _train(network, (x - mean) / std, y)
        network.eval()
        with torch.no_grad():
            return [network((_vectors(steps) - mean) / std)[:, 0].numpy() for steps in asked]


def _vectors(steps: Tensor) -> Tensor:
    """Steps of any kind -> (T, D)."""
    if steps.ndim == 4:
        return F.adaptive_avg_pool2d(steps, SIDE).flatten(1)
    return steps.mean(dim=1) if steps.ndim == 3 else steps


def _train(network: nn.Module, x: Tensor, y: Tensor) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            F.mse_loss(network(x[rows])[:, 0], y[rows]).backward()
            optimizer.step()
