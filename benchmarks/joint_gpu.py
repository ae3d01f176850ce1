"""The joint model of 100 M weights on one GPU, in bfloat16, its blocks compiled: speed, share of the peak, memory.

Three tasks of the embedded world in turn, as ``configs/joint.yaml`` has them, made large by an overlay.
"""

import argparse

from benchmarks.gpu import measure

CONFIG = "joint+overlays/joint_large+overlays/bf16+overlays/compile"


def main() -> None:
    """Train for so many steps, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--config", default=CONFIG, help="a config and overlays, with + between them")
    options = parser.parse_args()
    steps = f"--data.init_args.steps_per_epoch={options.steps}"
    measure("joint_gpu", options.config, "--trainer.max_epochs=1", steps)


if __name__ == "__main__":
    main()
