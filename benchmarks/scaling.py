"""Write the tables of ``docs/scaling.md`` from what was measured: ``python -m benchmarks.scaling``."""

import json
from pathlib import Path

from benchmarks.result import RESULTS
from benchmarks.two_processes import CASES, sent

GUIDE = Path(__file__).parent.parent / "docs" / "scaling.md"
START, END = "<!-- figures -->\n", "<!-- end of figures -->\n"
INSIDE, BETWEEN = 300e9, 12.5e9
"""Bytes a second that are assumed: between GPUs of one machine (NVLink), and between machines (100 Gbit/s)."""
LARGE = 100_000_000
"""Weights of a model as one would train it on so many GPUs."""


def main() -> None:
    """Put the tables between the markers."""
    text = GUIDE.read_text()
    before, after = text.split(START)[0], text.split(END)[1]
    GUIDE.write_text(before + START + tables() + END + after)


def tables() -> str:
    """What stands between the markers; nothing before it was measured."""
    path = RESULTS / "two_processes.json"
    if not path.is_file():
        return ""
    result = json.loads(path.read_text())
    figures = {task: _of(task, result["metrics"]) for task in CASES}
    where = f"{result['machine']}, {result['date']}"
    return f"{_measured(figures, where)}\n{_expected(figures)}"


def communication(parameters: float, gathered: float, world: int, bandwidth: float) -> tuple[float, float]:
    """Seconds that gradients and gathered tokens take in a step; see ``sent``."""
    return sent(parameters, 0, world) / bandwidth, sent(0, gathered, world) / bandwidth


def shortest_step(gradients: float, tokens: float, efficiency: float = 0.9) -> float:
    """Seconds that a GPU must compute in a step for communication to cost no more than 1 - efficiency.

    Gradients are sent while the backward pass goes on, two thirds of the step; tokens are waited for.

    >>> round(shortest_step(0.7, 0.0), 3), round(shortest_step(0.0, 0.1), 3)
    (0.9, 0.9)
    """
    lost = 1 / efficiency - 1
    return max(tokens / lost, (gradients + tokens) / (lost + 2 / 3))


def _of(task: str, metrics: dict[str, float]) -> dict[str, float]:
    return {name.removeprefix(f"{task}_"): value for name, value in metrics.items() if name.startswith(f"{task}_")}


def _measured(figures: dict[str, dict[str, float]], where: str) -> str:
    lines = [
        f"Measured ({where}):\n",
        "| task | trained weights | sent a step, measured / from sizes | step alone / of two | efficiency of two |",
        "|---|---|---|---|---|",
    ]
    for task, found in figures.items():
        sizes = f"{found['bytes_per_step'] / 1e6:.2f} / {found['bytes_analytic'] / 1e6:.2f} MB"
        steps = f"{found['step_ms_alone']:.0f} / {found['step_ms_two']:.0f} ms"
        weights = f"{found['parameters'] / 1e6:.2f} M"
        lines.append(f"| {task} | {weights} | {sizes} | {steps} | {found['efficiency']:.0%} |")
    return "\n".join(lines) + "\n"


def _expected(figures: dict[str, dict[str, float]]) -> str:
    lines = [
        f"Expected at {INSIDE / 1e9:.0f} GB/s between GPUs of a machine, {BETWEEN / 1e9:.1f} GB/s between machines:\n",
        "| task | time of communication, 8 GPUs / 64 in 8 machines | shortest step of 90 % efficiency, 8 / 64 |",
        "|---|---|---|",
    ]
    rows = {task: (found["parameters"], found["gathered"]) for task, found in figures.items()}
    rows |= {f"{task}, {LARGE / 1e6:.0f} M weights": (LARGE, gathered) for task, (_, gathered) in rows.items()}
    for task, (parameters, gathered) in rows.items():
        costs = [communication(parameters, gathered, *on) for on in ((8, INSIDE), (64, BETWEEN))]
        took = " / ".join(f"{1000 * sum(cost):.2f}" for cost in costs)
        needed = " / ".join(f"{1000 * shortest_step(*cost):.2f}" for cost in costs)
        lines.append(f"| {task} | {took} ms | {needed} ms |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
