"""CNN + LSTM + MMAN from scratch on Flickr8k: recall among the 1,000 images and 5,000 captions of dev."""

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train

NAMES = ("t2i_r1", "t2i_r10", "i2t_r1", "i2t_r10", "dual_t2i_r10", "dual_i2t_r10")


def main() -> None:
    """Train ``configs/flickr8k_mman.yaml``, write the result."""
    run = train("flickr8k_mman")
    figures = percent(run.figures, *NAMES)
    medians = {name: run.figures[name] for name in ("t2i_median_rank", "i2t_median_rank")}
    write_result("flickr8k_mman_scratch", {**figures, **medians, "minutes": run.minutes}, seed=SEED)


if __name__ == "__main__":
    main()
