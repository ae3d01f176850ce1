"""The joint model of 100 M weights on one GPU, in bfloat16, its blocks compiled: speed, share of the peak, memory.

Three tasks of the embedded world in turn, as ``configs/joint.yaml`` has them, made large by an overlay.
"""

import argparse

from benchmarks.gpu import chip, figures, train
from benchmarks.result import write_result
from benchmarks.training import SEED

CONFIG = "joint+overlays/joint_large+overlays/bf16+overlays/compile"


def main() -> None:
    """Train for so many steps, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--config", default=CONFIG, help="a config and overlays, with + between them")
    options = parser.parse_args()
    meter = train(
        options.config,
        "--trainer.max_epochs=1",
        f"--data.init_args.steps_per_epoch={options.steps}",
        "--trainer.limit_val_batches=0",
    )
    write_result("joint_gpu", figures(meter), seed=SEED, notes={"chip": chip(), "config": options.config})


if __name__ == "__main__":
    main()
