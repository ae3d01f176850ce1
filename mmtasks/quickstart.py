"""``make quickstart``: train on the rendered world, measure on unseen scenes, draw what was found."""

import sys
import time
from pathlib import Path
from typing import Any

CONFIG = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
QUERIES = 5
PAIRS = 200


def main() -> int:
    """Train, test on 200 unseen scenes and on binding pairs, write the picture, print the figures."""
    from mmtasks.data.scenes.evaluate import binding_accuracy
    from mmtasks.data.scenes.source import Scenes
    from mmtasks.inference.image_text import Matcher
    from mmtasks.inference.pictures import contact_sheet
    from mmtasks.tasks.launch import launch

    print("Training on drawn scenes of coloured shapes and what is said of them, for less than three minutes.")
    start = time.perf_counter()
    cli = launch(["fit", "--config", str(CONFIG), *sys.argv[1:]])
    minutes = (time.perf_counter() - start) / 60
    tested = cli.trainer.test(cli.model, cli.datamodule, verbose=False)[0]
    run = Path(cli.trainer.default_root_dir)
    checkpoint = run / "checkpoints" / "last.ckpt"
    matcher = Matcher(checkpoint)
    picture = run / "quickstart.png"
    contact_sheet(_found(matcher, list(Scenes("test", number=200))), picture)
    print(f"\ntrained in {minutes:.1f} minutes; percent right, of combinations never seen in training:\n")
    print(_table({name: float(value) for name, value in tested.items()}, binding_accuracy(matcher, number=PAIRS)))
    print(f"\nfive captions, each with the pictures ranked first: {picture}")
    print(f"the model: {checkpoint}")
    return 0


def _found(matcher: Any, rows: list[Any]) -> list[Any]:
    images = matcher.encode_images(row.load() for row in rows)
    texts = matcher.encode_texts(row.captions[0] for row in rows[:QUERIES])
    best = matcher.rank(texts, images, queries_are="text").topk(6, dim=1)
    return [
        (row.captions[0], [(rows[i].load(), "right" if rows[i].id == row.id else "") for i in order])
        for row, order in zip(rows, best.indices.tolist(), strict=False)
    ]


def _table(figures: dict[str, float], binding: Any) -> str:
    """The fused model beside its own embeddings alone."""
    lines = [f"{'':34s}{'with fusion':>12s}{'without':>9s}"]
    for name, key in (("picture of a caption (R@1 of 200)", "t2i_r1"), ("caption of a picture (R@1 of 200)", "i2t_r1")):
        lines.append(f"{name:34s}{100 * figures[f'test/{key}']:12.1f}{100 * figures[f'test/dual_{key}']:9.1f}")
    fused, _, alone = (100 * share for share in binding)
    lines.append(f"{'binding pairs':34s}{fused:12.1f}{alone:9.1f}  ({fused - alone:+.1f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
