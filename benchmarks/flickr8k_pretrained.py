"""Pretrained encoders that install as packages + shared fusion on Flickr8k dev; the minutes include caching."""

import tempfile

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train

NAMES = ("t2i_r1", "i2t_r1", "t2i_r1_dual", "i2t_r1_dual", "t2i_r5", "i2t_r5", "t2i_r10", "i2t_r10")


def main() -> None:
    """Train ``configs/flickr8k_pretrained.yaml`` with an empty cache, write the result."""
    with tempfile.TemporaryDirectory() as cache:
        run = train("flickr8k_pretrained", f"--data.init_args.feature_cache={cache}")
    for way in ("t2i", "i2t"):
        run.figures[f"{way}_r1_dual"] = run.figures[f"dual_{way}_r1"]
    figures = percent(run.figures, *NAMES)
    gains = {f"{way}_r1_gain": figures[f"{way}_r1"] - figures[f"{way}_r1_dual"] for way in ("t2i", "i2t")}
    more = {"match_auc": run.figures["match_auc"], "minutes": run.minutes}
    write_result("flickr8k_pretrained", figures | gains | more, seed=SEED)


if __name__ == "__main__":
    main()
