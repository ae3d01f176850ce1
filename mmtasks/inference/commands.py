"""What the commands ``predict``, ``search`` and ``match`` do."""

import argparse
import hashlib
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mmtasks.data.clean import clean
from mmtasks.data.images import open_image
from mmtasks.data.sources import Manifest
from mmtasks.errors import UserError
from mmtasks.inference.image_text import Encoded, Matcher
from mmtasks.inference.pictures import attention_figure, contact_sheet

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def predict(options: argparse.Namespace) -> None:
    """For each caption the best images, for each image the best captions, a JSON line each."""
    matcher = Matcher(options.checkpoint, device=options.device)
    rows = list(Manifest(options.manifest))
    if not rows:
        raise UserError(f"{options.manifest}: no usable row")
    images = matcher.encode_images(row.load for row in rows)
    captions = [(f"{row.id}#{k}", caption) for row in rows for k, caption in enumerate(row.captions)]
    texts = matcher.encode_texts(caption for _, caption in captions)
    image_ids, text_ids = [row.id for row in rows], [i for i, _ in captions]
    t2i = matcher.rank(texts, images, queries_are="text")
    i2t = matcher.rank(images, texts, queries_are="image")
    lines = [
        *_rankings("text", text_ids, image_ids, t2i, options.top),
        *_rankings("image", image_ids, text_ids, i2t, options.top),
    ]
    _write(Path(options.output), "".join(json.dumps(line) + "\n" for line in lines))
    print(f"{len(text_ids)} captions and {len(image_ids)} images ranked: {options.output}")


def search(options: argparse.Namespace) -> None:
    """A table and a contact sheet of the best pictures of a folder."""
    matcher = Matcher(options.checkpoint, device=options.device)
    paths = _pictures(Path(options.folder))
    kept, images = _folder(matcher, paths, Path(options.checkpoint))
    scores = matcher.rank(matcher.encode_texts([options.text]), images, queries_are="text")[0]
    best = scores.argsort(descending=True)[: options.top].tolist()
    for place, index in enumerate(best, start=1):
        print(f"{place:3d}  {float(scores[index]):8.3f}  {kept[index]}")
    contact_sheet([(options.text, [(kept[i], f"{float(scores[i]):.2f}") for i in best])], Path(options.output))
    print(f"contact sheet: {options.output}")


def match(options: argparse.Namespace) -> None:
    """The probability, and if asked the attention of each word."""
    matcher = Matcher(options.checkpoint, device=options.device)
    picture = open_image(Path(options.image), options.image)
    image, text = matcher.encode_images([lambda: picture])[0], matcher.encode_texts([options.text])[0]
    print(f"{matcher.probability(image, text):.3f}")
    if options.show:
        process = matcher.model.processors["text"]
        words = process.tokens(clean(options.text, process.clean))
        attention_figure(picture, words, matcher.attention(image, text), Path(options.show))
        print(f"attention: {options.show}")


def _rankings(
    kind: str, query_ids: list[str], candidate_ids: list[str], scores: Tensor, top: int
) -> Iterator[dict[str, Any]]:
    for query, row in zip(query_ids, scores, strict=True):
        best = row.topk(min(top, len(row)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ranking = [[candidate_ids[i], round(score, 4)] for i, score in pairs]
        yield {"query_id": query, "query_kind": kind, "ranking": ranking}


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another --output") from None


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES)
    if not paths:
        raise UserError(f"{folder}: no pictures ({', '.join(sorted(PICTURES))})")
    return paths


def _folder(matcher: Matcher, paths: list[Path], checkpoint: Path) -> tuple[list[Path], list[Encoded]]:
    """Encode the pictures, from the cache beside the checkpoint where nothing has changed."""
    stamps = [f"{p.resolve()} {p.stat().st_mtime_ns} {p.stat().st_size}" for p in paths]
    key = hashlib.sha256(f"{checkpoint.stat().st_mtime_ns} {stamps}".encode()).hexdigest()[:16]
    cache = checkpoint.parent / "search-cache" / f"{key}.pt"
    if cache.exists():
        saved = torch.load(cache, weights_only=True)
        return [Path(p) for p in saved["paths"]], [Encoded(*pair) for pair in saved["images"]]
    kept, images = [], []
    for path in paths:
        try:
            images += matcher.encode_images([partial(open_image, path, str(path))])
            kept.append(path)
        except UserError as error:
            print(f"left out: {error}")
    if not kept:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} pictures can be read")
    try:
        cache.parent.mkdir(exist_ok=True)
        temporary = cache.with_suffix(".part")
        torch.save({"paths": [str(p) for p in kept], "images": [tuple(i) for i in images]}, temporary)
        temporary.replace(cache)
    except OSError as error:
        print(f"not cached: {error}")
    return kept, images
