"""Every fusion on the same cached features of frozen encoders: recall on Flickr8k dev, parameters, minutes."""

from benchmarks.result import write_result
from benchmarks.training import SEED, percent, train
from mmtasks.fusion.scores import SCORES

FUSION = "--model.init_args.backbone.init_args.fusion"
MMAN = "mmtasks.fusion.mman.MMAN"
KINDS = {
    **{f"mman_{score}": (MMAN, f"{FUSION}.score={score}") for score in SCORES},
    "transformer": ("mmtasks.fusion.transformer.JointTransformer", f"{FUSION}.num_layers=2"),
    "bottleneck": ("mmtasks.fusion.bottleneck.Bottleneck", f"{FUSION}.num_layers=2"),
}


def main() -> None:
    """Train ``configs/flickr8k_frozen.yaml`` with each fusion; a first step fills the cache."""
    metrics: dict[str, float] = {}
    train("flickr8k_frozen", "--trainer.max_steps=1", "--model.init_args.objective.init_args.rerank=1")
    for kind, (path, option) in KINDS.items():
        run = train("flickr8k_frozen", f"{FUSION}={path}", option)
        figures = percent(run.figures, "t2i_r1", "i2t_r1", "dual_t2i_r1", "dual_i2t_r1")
        figures |= {"parameters": run.parameters, "minutes": run.minutes}
        metrics |= {f"{kind}_{name}": value for name, value in figures.items()}
    write_result("flickr8k_fusion_table", metrics, seed=SEED)


if __name__ == "__main__":
    main()
