"""``make quickstart``: train on the rendered world, measure on unseen scenes, draw what was found."""

import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent / "configs" / "scenes.yaml"
QUERIES = 5


def main() -> int:
    """Train, test on 200 unseen scenes and on binding pairs, write the picture, print the figures."""
    from mmtasks.data.scenes.source import Scenes
    from mmtasks.inference.image_text import Matcher
    from mmtasks.inference.pictures import contact_sheet
    from mmtasks.tasks.launch import launch

    start = time.time()
    cli = launch(["fit", "--config", str(CONFIG), "--trainer.enable_progress_bar=true", *sys.argv[1:]])
    minutes = (time.time() - start) / 60
    figures = {k: float(v) for k, v in cli.trainer.test(cli.model, cli.datamodule, verbose=False)[0].items()}
    run = Path(cli.trainer.default_root_dir)
    matcher = Matcher(run / "checkpoints" / "last.ckpt")
    from mmtasks.data.scenes.evaluate import binding_accuracy

    fused, dual = binding_accuracy(matcher, number=100)
    rows = list(Scenes("test", number=200))
    picture = run / "quickstart.png"
    contact_sheet(_found(matcher, rows), picture)
    print(f"trained in {minutes:.1f} minutes; among 200 unseen scenes:")
    print(_table(figures, fused, dual))
    print(f"picture: {picture}")
    return 0


def _found(matcher: Any, rows: list[Any]) -> list[Any]:
    images = matcher.encode_images(row.load() for row in rows)
    texts = matcher.encode_texts(row.captions[0] for row in rows[:QUERIES])
    best = matcher.rank(texts, images, queries_are="text").topk(6, dim=1)
    return [
        (row.captions[0], [(rows[i].load(), "right" if rows[i].id == row.id else "") for i in order])
        for row, order in zip(rows, best.indices.tolist(), strict=False)
    ]


def _table(figures: dict[str, float], fused: float, dual: float) -> str:
    lines = [f"{'':28s}{'fused':>8s}{'dual':>8s}"]
    for name, key in (("text to image R@1", "t2i_r1"), ("image to text R@1", "i2t_r1")):
        lines.append(f"{name:28s}{100 * figures[f'test/{key}']:8.1f}{100 * figures[f'test/dual_{key}']:8.1f}")
    lines.append(f"{'binding pairs':28s}{100 * fused:8.1f}{100 * dual:8.1f}   ({100 * (fused - dual):+.1f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
