"""Both encoders of ``configs/flickr8k_pretrained.yaml`` tuned on one GPU in bfloat16: speed, share of the peak."""

import argparse

from benchmarks.gpu import chip, figures, train
from benchmarks.result import write_result
from benchmarks.training import SEED

CONFIG = "flickr8k_pretrained+overlays/flickr8k_unfrozen+overlays/bf16"


def main() -> None:
    """Train for so many epochs, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--config", default=CONFIG, help="a config and overlays, with + between them")
    options = parser.parse_args()
    meter = train(options.config, f"--trainer.max_epochs={options.epochs}", "--trainer.limit_val_batches=0")
    write_result("flickr8k_gpu", figures(meter), seed=SEED, notes={"chip": chip(), "config": options.config})


if __name__ == "__main__":
    main()
