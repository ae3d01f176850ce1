"""The rendered world: retrieval among 200 unseen scenes, and binding pairs, with fusion and without.

``binding_bag`` is the control: a dual encoder that reads captions as bags of words, for which both captions of a pair
are the same.
"""

from benchmarks.result import write_result
from benchmarks.training import SEED, Trained, percent, train
from mmtasks.data.scenes.evaluate import Binding, binding_accuracy
from mmtasks.inference.image_text import Matcher

PAIRS = 500
DUAL = "scenes+overlays/no_fusion"
BAG_OF_WORDS = "--model.init_args.backbone.init_args.encoders.text=mmtasks.encoders.text.BagOfWords"


def main() -> None:
    """Train the three models, write the result."""
    fused = train("scenes")
    dual = train(DUAL)
    bag = train(DUAL, BAG_OF_WORDS, "--trainer.max_epochs=1")
    metrics = percent(fused.figures, "t2i_r1", "i2t_r1")
    metrics |= {f"{name}_alone": 100 * dual.figures[name] for name in ("dual_t2i_r1", "dual_i2t_r1")}
    binding = _binding(fused)
    metrics |= {"binding_fused": 100 * binding.fused, "binding_head": 100 * binding.head}
    metrics["binding_dual"] = 100 * _binding(dual).embeddings
    metrics["binding_difference"] = metrics["binding_fused"] - metrics["binding_dual"]
    metrics["binding_bag"] = 100 * _binding(bag).embeddings
    metrics |= {"minutes": fused.minutes, "minutes_dual": dual.minutes}
    write_result("scenes", metrics, seed=SEED)


def _binding(trained: Trained) -> Binding:
    return binding_accuracy(Matcher(trained.checkpoint), number=PAIRS)


if __name__ == "__main__":
    main()
