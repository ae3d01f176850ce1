"""What the commands ``predict``, ``search`` and ``match`` do with an image-text model."""

import argparse
import getpass
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor
from torchvision.transforms.functional import to_pil_image
from tqdm import tqdm

from mmtasks.data.clean import clean
from mmtasks.data.feature_cache import SHARD, FeatureCache
from mmtasks.data.images import exif_transpose, open_image
from mmtasks.data.rows import ImageTextRow
from mmtasks.data.sources import Manifest
from mmtasks.data.usable import listed, usable_rows
from mmtasks.errors import UserError
from mmtasks.inference.checkpoint import Model, load
from mmtasks.inference.image_text import Encoded, Matcher, chunks
from mmtasks.inference.output import check_kept, write
from mmtasks.inference.pictures import attention_figure, check_picture, contact_sheet

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def predict(options: argparse.Namespace, model: Model) -> None:
    """For each caption the best images, for each image the best captions, a JSON line each."""
    matcher = Matcher(model)
    source, steps = Manifest(options.manifest), model.processors["text"].clean
    rows = usable_rows(source, steps, max_bad_fraction=options.max_bad_fraction)
    images = matcher.encode_images(row.load() for row in tqdm(rows, desc="images", unit="image"))
    captions = _captions(source, {row.id for row in rows}, steps)
    texts = matcher.encode_texts(caption for _, caption in tqdm(captions, desc="captions", unit="caption"))
    image_ids, text_ids = [row.id for row in rows], [i for i, _ in captions]
    t2i = matcher.rank(texts, images, queries_are="text")
    i2t = matcher.rank(images, texts, queries_are="image")
    lines = [
        *_rankings("text", text_ids, image_ids, t2i, options.top),
        *_rankings("image", image_ids, text_ids, i2t, options.top),
    ]
    write(Path(options.output), "".join(json.dumps(line) + "\n" for line in lines))
    print(f"{len(text_ids)} captions and {len(image_ids)} images ranked: {options.output}")


def search(options: argparse.Namespace) -> None:
    """A table and a contact sheet of the best pictures of a folder."""
    check_picture(Path(options.output))
    matcher = Matcher(load(options.checkpoint, device=options.device, objectives=options.objectives))
    paths = _pictures(Path(options.folder), besides=Path(options.output))
    kept, images = _folder(matcher, paths, Path(options.checkpoint))
    scores = matcher.rank(matcher.encode_texts([options.text]), images, queries_are="text")[0]
    best = scores.argsort(descending=True)[: options.top].tolist()
    for place, index in enumerate(best, start=1):
        print(f"{place:3d}  {float(scores[index]):8.3f}  {kept[index]}")
    contact_sheet([(options.text, [(kept[i], f"{float(scores[i]):.2f}") for i in best])], Path(options.output))
    print(f"contact sheet: {options.output}")


def match(options: argparse.Namespace) -> None:
    """The probability, and if asked the attention of each word."""
    if options.show:
        check_picture(Path(options.show))
        check_kept(Path(options.show), options.image)
    matcher = Matcher(load(options.checkpoint, device=options.device, objectives=options.objectives))
    picture = open_image(Path(options.image), options.image)
    image, text = matcher.encode_images([picture])[0], matcher.encode_texts([options.text])[0]
    print(f"{matcher.probability(image, text):.3f}")
    if options.show:
        process = matcher.model.processors["text"]
        words = process.tokens(clean(options.text, process.clean))
        prepare = matcher.model.processors["image"]
        pixels = prepare(picture)[0]
        shown = to_pil_image(pixels) if prepare.crops else exif_transpose(picture)
        seen = tuple(pixels.shape[-2:])
        attention_figure(shown, words, matcher.attention(image, text), seen, Path(options.show))
        print(f"attention: {options.show}")


def _captions(source: Iterable[ImageTextRow], usable: set[str], steps: Sequence[str]) -> list[tuple[str, str]]:
    """``ID#k`` and the caption, k its number in the row; those without a word are named and left out."""
    numbered = [(row, k, caption) for row in source if row.id in usable for k, caption in enumerate(row.captions)]
    empty = [f"{row.where}: caption {k + 1}" for row, k, caption in numbered if not clean(caption, steps)]
    if empty:
        print(f"left out {len(empty)} captions without words: {listed(empty)}")
    return [(f"{row.id}#{k}", caption) for row, k, caption in numbered if clean(caption, steps)]


def _rankings(
    kind: str, query_ids: list[str], candidate_ids: list[str], scores: Tensor, top: int
) -> Iterator[dict[str, Any]]:
    for query, row in zip(query_ids, scores, strict=True):
        best = row.topk(min(top, len(row)))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        ranking = [[candidate_ids[i], round(score, 4)] for i, score in pairs]
        yield {"query_id": query, "query_kind": kind, "ranking": ranking}


def _pictures(folder: Path, *, besides: Path) -> list[Path]:
    """All in the folder and below, ``besides`` the result of the search before."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in PICTURES and p.is_file())
    paths = [path for path in paths if not (besides.exists() and path.samefile(besides))]
    if not paths:
        raise UserError(f"{folder}: no pictures ({', '.join(sorted(PICTURES))})")
    return paths


def _folder(matcher: Matcher, paths: list[Path], checkpoint: Path) -> tuple[list[Path], list[Encoded]]:
    """Encode the pictures, unchanged ones from a cache; broken ones are left out."""
    cache = _search_cache(checkpoint)
    keys = {path: _digest(path.resolve(), path.stat().st_mtime_ns, path.stat().st_size) for path in paths}
    missing = set(cache.missing(keys.values()))
    fresh = [path for path in paths if keys[path] in missing]
    bar = tqdm(total=len(fresh), desc="pictures", unit="picture")
    for part in chunks(fresh, SHARD):
        kept: list[Path] = []
        encoded = matcher.encode_images(_readable(part, kept, bar))
        if kept:
            cache.add([keys[path] for path in kept], [image.tokens for image in encoded])
    bar.close()
    broken = set(cache.missing(keys.values()))
    usable = [path for path in paths if keys[path] not in broken]
    if not usable:
        raise UserError(f"{paths[0].parent}: none of its {len(paths)} pictures can be read")
    return usable, matcher.embed("image", (cache[keys[path]] for path in usable))


def _search_cache(checkpoint: Path) -> FeatureCache:
    """Beside the checkpoint; where that cannot be written, in the user's own among the temporary files."""
    state = checkpoint.stat()
    key = _digest(checkpoint.resolve(), state.st_mtime_ns, state.st_size)
    beside = checkpoint.parent / "search-cache"
    if os.access(beside if beside.exists() else beside.parent, os.W_OK | os.X_OK) and not beside.is_file():
        return FeatureCache(beside, key)
    elsewhere = Path(tempfile.gettempdir()) / f"mmtasks-search-cache-{getpass.getuser()}"
    print(f"{beside}: cannot be written; what is found is kept in {elsewhere}")
    return FeatureCache(elsewhere, key)


def _digest(*values: object) -> str:
    return hashlib.sha256(" ".join(map(str, values)).encode()).hexdigest()[:32]


def _readable(paths: Iterable[Path], kept: list[Path], bar: Any) -> Iterator[Image.Image]:
    """Those pictures that open, their paths added to ``kept``; the others are named."""
    for path in paths:
        bar.update()
        try:
            picture = open_image(path, str(path))
        except UserError as error:
            bar.write(f"left out: {error}")
            continue
        kept.append(path)
        yield picture
