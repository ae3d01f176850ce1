"""What a longer video costs: seconds and memory of a training step, for joint attention and for the bottleneck.

Each length is measured in a process of its own, whose peak memory is then its own. Exponents are of a line through the
logarithms of the lengths from 4,000 on: below, what does not grow outweighs what does.
"""

import json
import math
import resource
import subprocess
import sys
import time

from benchmarks.result import write_result

LENGTHS = (500, 1000, 2000, 4000, 8000, 16_000, 32_000, 64_000)
FITTED_FROM = 4000
LONG = 20.0
"""Seconds after which a step is not measured again."""
DIM, LAYERS, HEADS, WORDS = 64, 2, 4, 16
KINDS = ("joint", "bottleneck")


def main() -> None:
    """Measure every kind at every length, fit, write the result."""
    metrics: dict[str, float] = {}
    for kind in KINDS:
        base = _measured(kind, 1)["mb"]
        costs = {length: _measured(kind, length) for length in LENGTHS}
        for length, cost in costs.items():
            metrics[f"{kind}_{length}_seconds"] = cost["seconds"]
            metrics[f"{kind}_{length}_mb"] = cost["mb"] - base
            print(f"{kind} {length}: {cost['seconds']:.3f} s, {cost['mb'] - base:.0f} MB", flush=True)
        fitted = [length for length in LENGTHS if length >= FITTED_FROM]
        metrics[f"exponent_{kind}"] = _slope(fitted, [costs[n]["seconds"] for n in fitted])
        metrics[f"exponent_{kind}_memory"] = _slope(fitted, [max(costs[n]["mb"] - base, 1.0) for n in fitted])
    write_result("fusion_growth", metrics, seed=0, notes={"exponents": f"fitted from {FITTED_FROM} frames on"})


def _measured(kind: str, length: int) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.fusion_growth", kind, str(length)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _step(kind: str, length: int) -> None:
    """Forward and backward through the fusion of a video and a title; the best of some, and the process's peak."""
    import torch

    from mmtasks.fusion.bottleneck import Bottleneck
    from mmtasks.fusion.transformer import JointTransformer
    from mmtasks.types import Tokens

    torch.manual_seed(0)
    fusion: torch.nn.Module
    if kind == "joint":
        fusion = JointTransformer(LAYERS, num_heads=HEADS)
    else:
        fusion = Bottleneck(8, own=False, num_layers=LAYERS, num_heads=HEADS)
    fusion.build(DIM)  # type: ignore[operator]
    sizes = {"video": length, "text": WORDS}
    tokens = {n: Tokens(torch.randn(1, size, DIM), torch.ones(1, size, dtype=torch.bool)) for n, size in sizes.items()}
    seconds: list[float] = []
    while len(seconds) < 3 and sum(seconds) < LONG:  # the first also waits for memory
        start = time.perf_counter()
        fusion(tokens).x.square().mean().backward()
        seconds.append(time.perf_counter() - start)
    megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": min(seconds), "mb": megabytes}))


def _slope(lengths: list[int], costs: list[float]) -> float:
    """Of the least-squares line through the logarithms."""
    x, y = [math.log(n) for n in lengths], [math.log(c) for c in costs]
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


if __name__ == "__main__":
    main() if len(sys.argv) == 1 else _step(sys.argv[1], int(sys.argv[2]))
