"""``make quickstart``: one backbone learns three tasks from drawn and spoken worlds; what it learned is shown."""

import sys
from pathlib import Path
from typing import Any

from mmtasks.errors import in_one_line

CONFIG = Path(__file__).parent.parent / "configs" / "quickstart.yaml"
QUERIES = 5
PAIRS = 200
HEARD = 5
FILMS = 3


def main() -> int:
    """Train all three together, then show each on what training never had; returns the exit status."""
    return in_one_line(train_and_show)


def train_and_show() -> None:
    """All three."""
    from mmtasks.tasks.trained import train_and_test

    print("Pictures with captions, spoken commands and films, on one backbone: a few minutes on two cores.")
    run = train_and_test([CONFIG], *sys.argv[1:])
    print(f"\ntrained in {run.minutes:.1f} minutes, {run.parameters:,} weights: {run.checkpoint}")
    pictures(run)
    commands(run)
    films(run)


def pictures(run: Any) -> None:
    """How well scenes and captions find each other; the best pictures of a few captions, drawn."""
    from mmtasks.data.scenes.evaluate import binding_accuracy
    from mmtasks.data.scenes.source import Scenes
    from mmtasks.inference.image_text import Matcher
    from mmtasks.inference.pictures import contact_sheet

    matcher = Matcher(run.checkpoint)
    picture = run.folder / "quickstart.png"
    contact_sheet(_found(matcher, list(Scenes("test", number=200))), picture)
    print("\n1. Pictures of coloured shapes; percent right, of combinations never seen in training:\n")
    print(_table(run.of("image_text"), binding_accuracy(matcher, number=PAIRS)))
    print(f"\n{QUERIES} captions, each with the pictures ranked first: {picture}")


def commands(run: Any) -> None:
    """How well commands are understood; a few transcripts beside what was said."""
    figures = {name: 100 * value for name, value in run.of("transcription").items()}
    print("\n2. Voice commands read by a synthesiser, of voices and sentences never heard in training:\n")
    print(f"word error rate {figures['wer']:.1f} %, commands understood {figures['command_accuracy']:.1f} %")
    transcripts = run.task.stage_metrics["transcription"].transcripts
    for transcript in list({one.reference: one for one in transcripts}.values())[:HEARD]:
        print(f"\n  said   {transcript.reference}\n  heard  {transcript.hypothesis}")


def films(run: Any) -> None:
    """How well moments are ranked; what two titles each make of a few films, drawn."""
    from mmtasks.inference.pictures import contact_sheet

    storyboard = run.folder / "storyboard.png"
    contact_sheet([_board(run, row) for row in range(2 * FILMS)], storyboard)
    print("\n3. Films of moving shapes, and titles that say what to look for, never seen in training:\n")
    print(f"Kendall's tau with viewers {run.of('summary')['tau']:.2f} (1 for equal order, 0 for chance)")
    print(f"\n{FILMS} films, each summarized for two titles: {storyboard}")


def _found(matcher: Any, rows: list[Any]) -> list[Any]:
    images = matcher.encode_images(row.load() for row in rows)
    texts = matcher.encode_texts(row.captions[0] for row in rows[:QUERIES])
    best = matcher.rank(texts, images, queries_are="text").topk(6, dim=1)
    return [
        (row.captions[0], [(rows[i].load(), "right" if rows[i].id == row.id else "") for i in order])
        for row, order in zip(rows, best.indices.tolist(), strict=False)
    ]


def _board(run: Any, index: int) -> tuple[str, list[Any]]:
    """The title of a test film, and the best frame of each shot chosen for it, with its time."""
    import torch
    from torchvision.transforms.functional import to_pil_image

    from mmtasks.data.summary_dataset import Collate
    from mmtasks.metrics.summary import select

    dataset, task = run.data.task("summary").datasets["test"], run.task.eval()
    objective = task.objectives["summary"]
    batch = Collate()([dataset[index]])
    with torch.inference_mode():
        output = objective(task.backbone.encode(batch.inputs), task.backbone.fuse, batch)
    scores, film = output.scores[0].numpy(), dataset.rows[index].annotation
    cells = []
    for shot in select(scores, film, worth=objective.worth).shots:
        first, last = film.change_points[shot]
        best = first + int(scores[first : last + 1].argmax())
        picture = to_pil_image(batch.inputs["video"].data[0, best]).resize((128, 128))
        cells.append((picture, f"{best / film.fps:.0f} s"))
    return dataset.rows[index].title, cells


def _table(figures: dict[str, float], binding: Any) -> str:
    """The fused model beside its own embeddings alone."""
    lines = [f"{'':34s}{'with fusion':>12s}{'without':>9s}"]
    for name, key in (("picture of a caption (R@1 of 200)", "t2i_r1"), ("caption of a picture (R@1 of 200)", "i2t_r1")):
        lines.append(f"{name:34s}{100 * figures[key]:12.1f}{100 * figures[f'dual_{key}']:9.1f}")
    fused, _, alone = (100 * share for share in binding)
    lines.append(f"{'binding pairs':34s}{fused:12.1f}{alone:9.1f}  ({fused - alone:+.1f})")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
