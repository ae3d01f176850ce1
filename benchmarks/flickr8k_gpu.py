"""Both encoders of ``configs/flickr8k_pretrained.yaml`` tuned on one GPU in bfloat16: speed, share of the peak."""

import argparse

from benchmarks.gpu import measure

CONFIG = "flickr8k_pretrained+overlays/flickr8k_unfrozen+overlays/bf16"


def main() -> None:
    """Train for so many epochs, write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--config", default=CONFIG, help="a config and overlays, with + between them")
    options = parser.parse_args()
    measure("flickr8k_gpu", options.config, f"--trainer.max_epochs={options.epochs}")


if __name__ == "__main__":
    main()
