"""Images with captions on disk: our manifests, COCO captions, Flickr8k and Flickr30k. All give the same rows."""

import json
import re
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from mmtasks.data.images import open_image
from mmtasks.data.manifest import expand, read_rows, read_text, resolve
from mmtasks.data.rows import ImageTextRow, ImageTextSource
from mmtasks.errors import UserError


class Found(NamedTuple):
    """One row as the file has it. image: None where the file names none."""

    id: str
    captions: list[Any]
    image: Path | None
    where: str
    label: int | None = None


class DiskSource(ImageTextSource):
    """Rows whose pictures are files; subclasses say what their files hold.

    A row without picture, without captions or with an empty one is left out and described in ``problems``.
    """

    on_disk = True

    def _keep(self, found: Iterable[Found]) -> None:
        self.problems: list[str] = []
        self._rows: list[ImageTextRow] = []
        for row in found:
            problem = _problem(row)
            if problem or row.image is None:
                self.problems.append(f"{row.where}: {problem}")
                continue
            captions = [caption.strip() for caption in row.captions]
            load = partial(open_image, row.image, row.where)
            self._rows.append(ImageTextRow(row.id, captions, load, row.where, row.label))

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: Any) -> Any:
        return self._rows[index]


class Manifest(DiskSource):
    """A JSONL or CSV file with ``id``, ``image`` and ``captions``, and perhaps an integer ``label`` for every row.

    ``image`` is a path from the manifest's folder. ``captions`` is a list; in CSV a JSON list or texts separated by
    ``|``. Instead, ``caption`` holds a single one: then rows with the same id and image are one sample.

    Args:
        path: the file; ``$MMTASKS_DATA`` and other environment variables are filled in.
        limit: take at most this many samples, after those skipped.
        skip: leave out this many samples at the start.

    Raises:
        UserError: the file or a row of it is unusable.
    """

    def __init__(self, path: str, *, limit: int | None = None, skip: int = 0) -> None:
        if limit is not None and limit < 1:
            raise ValueError(f"limit {limit} must be at least 1, or None for all")
        if skip < 0:
            raise ValueError(f"skip {skip} must be at least 0")
        self.path = path
        self.limit = limit
        self.skip = skip
        found = self._read(Path(expand(path)))
        self._keep(found[skip : None if limit is None else skip + limit])

    def _read(self, path: Path) -> list[Found]:
        rows = read_rows(path, columns=("id", "image"), merge="caption")
        if not any("captions" in row or "caption" in row for _, row in rows):
            raise UserError(f"{rows[0][0]}: column 'captions' is missing; the file has {', '.join(rows[0][1])}")
        samples: dict[str, Found] = {}
        for where, row in rows:
            image = row.get("image")
            picture = resolve(path.parent, image, where) if isinstance(image, str) and image.strip() else None
            sample = Found(row["id"], [], picture, where, _label(row.get("label"), where))
            samples.setdefault(row["id"], sample).captions.extend(_captions(row))
        found = list(samples.values())
        for sample in found:
            if (sample.label is None) != (found[0].label is None):
                raise UserError(f"{sample.where}: only some rows have a label; give one to every row or to none")
        return found


class CocoCaptions(DiskSource):
    """COCO's ``captions_*.json``: ``images`` with id and file_name, ``annotations`` with image_id and caption.

    Args:
        annotations: the JSON file.
        images: the folder of pictures.

    Raises:
        UserError: the file is unusable.
    """

    def __init__(self, annotations: str, images: str) -> None:
        self.annotations = annotations
        self.images = images
        path = Path(expand(annotations))
        try:
            content = json.loads(read_text(path))
            self._keep(_coco(content, Path(expand(images)), path.name))
        except (AttributeError, KeyError, TypeError) as error:
            raise UserError(f"{path.name}: not COCO captions ({error} is missing or malformed)") from None
        except json.JSONDecodeError as error:
            raise UserError(f"{path.name}:{error.lineno}: not JSON; download the file again") from None


class FlickrTokens(DiskSource):
    """Flickr8k's ``name.jpg#0<tab>caption`` lines or Flickr30k's ``name.jpg| 0| caption`` lines.

    Args:
        tokens: the file of captions.
        images: the folder of pictures.
        ids: a file that names the pictures of a split, one a line; None for all.

    Raises:
        UserError: a file is unusable.
    """

    def __init__(self, tokens: str, images: str, *, ids: str | None = None) -> None:
        self.tokens = tokens
        self.images = images
        self.ids = ids
        path = Path(expand(tokens))
        found, malformed = _flickr(path, Path(expand(images)))
        if not found:
            raise UserError(f"{path}: no line is 'name.jpg#0<tab>caption' or 'name.jpg| 0| caption'")
        unknown = []
        if ids is not None:
            names = [line.strip() for line in read_text(Path(expand(ids))).split("\n") if line.strip()]
            stems = {Path(name).stem: name for name in names}
            found = [row for row in found if Path(row.id).stem in stems]
            known = {Path(row.id).stem for row in found}
            unknown = [f"{Path(ids).name}: {name} has no captions" for s, name in stems.items() if s not in known]
            malformed = [(name, why) for name, why in malformed if name is None or Path(name).stem in stems]
        self._keep(found)
        self.problems += [why for _, why in malformed] + unknown


def _problem(row: Found) -> str | None:
    if row.image is None:
        return "names no image"
    try:
        if not row.image.is_file():
            return f"no such image {row.image}"
    except OSError as error:
        return f"image {row.image.name[:40]!r}… cannot be opened ({error.strerror})"
    if not row.captions:
        return "has no captions"
    if row.label is not None and len(row.captions) > 1:
        return f"has a label, which is of one caption, but {len(row.captions)} captions: give each a row of its own"
    for number, caption in enumerate(row.captions, start=1):
        if not isinstance(caption, str):
            return f"caption {number} is {caption!r}, not text"
        if not caption.strip():
            return f"caption {number} is empty"
        if any("\ud800" <= character <= "\udfff" for character in caption):
            return f"caption {number} has half a character, which is not UTF-8"
    return None


def _captions(row: dict[str, Any]) -> list[Any]:
    value: Any = row["captions"] if "captions" in row else row.get("caption")
    if isinstance(value, str) and "captions" in row:
        try:
            return list(json.loads(value)) if value.lstrip().startswith("[") else value.split("|")
        except ValueError:
            return value.split("|")
    return value if isinstance(value, list) else [] if value is None else [value]


def _label(value: Any, where: str) -> int | None:
    if value is None or value == "":
        return None
    if isinstance(value, (int, str)) and re.fullmatch(r"[0-9]{1,18}", str(value).strip()):
        return int(value)
    raise UserError(f"{where}: label {value!r} is not a whole number from 0")


def _coco(content: dict[str, Any], images: Path, name: str) -> list[Found]:
    samples: dict[int, Found] = {}
    for image in content["images"]:
        where = f"{name}:image {image['id']}"
        if image["id"] in samples:
            raise UserError(f"{where}: the id comes twice in 'images'; give each image its own")
        picture = resolve(images, image["file_name"], where)
        samples[image["id"]] = Found(str(image["id"]), [], picture, where)
    for annotation in content["annotations"]:
        if annotation["image_id"] not in samples:
            raise UserError(f"{name}: a caption is of image {annotation['image_id']}, which is not in 'images'")
        samples[annotation["image_id"]].captions.append(annotation["caption"])
    return list(samples.values())


def _flickr(path: Path, images: Path) -> tuple[list[Found], list[tuple[str | None, str]]]:
    """The pictures, and what is wrong with lines, beside the name of the picture where one can be made out."""
    samples: dict[str, Found] = {}
    problems: list[tuple[str | None, str]] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip() or (number == 1 and line.startswith("image_name|")):
            continue
        where = f"{path.name}:{number}"
        parts = re.fullmatch(r"([^|\t]+?)(?:#\d+\t|\|\s*\d+\s*\|)(.*)", line.rstrip("\r"))
        if not parts:
            problems.append((None, f"{where}: no name, number and caption"))
            continue
        name, caption = parts.group(1).strip(), parts.group(2).strip()
        if not caption:
            problems.append((name, f"{where}: the caption is empty"))
            continue
        found = samples.get(name) or samples.setdefault(name, Found(name, [], resolve(images, name, where), where))
        found.captions.append(caption)
    return list(samples.values()), problems
