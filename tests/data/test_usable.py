"""Broken rows are left out and counted, up to a share."""

import json
import tempfile
from pathlib import Path

import pytest
from PIL import ExifTags, Image

from mmtasks.data.sources import Manifest
from mmtasks.data.usable import leave_out, listed, usable_rows
from mmtasks.errors import UserError


def manifest(folder: Path, *, good: int, truncated: int = 0, empty: int = 0) -> Manifest:
    """Rows in that order; truncated ones have half a picture, empty ones a caption of dots."""
    rows = []
    for k in range(good + truncated + empty):
        path = folder / f"{k}.png"
        Image.effect_noise((32, 32), 50 + k).save(path)
        if good <= k < good + truncated:
            path.write_bytes(path.read_bytes()[:300])
        rows.append({"id": k, "image": path.name, "captions": ["..." if k >= good + truncated else f"Dog  {k}"]})
    (folder / "m.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return Manifest(str(folder / "m.jsonl"))


CLEAN = ["whitespace", "lowercase", "strip_punctuation"]


def test_up_to_the_share_rows_are_left_out_and_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = usable_rows(manifest(tmp_path, good=8, truncated=1, empty=1), CLEAN, max_bad_fraction=0.2)
    assert [row.captions for row in rows] == [[f"dog {k}"] for k in range(8)]
    reported = capsys.readouterr().out
    assert "left out 2 broken rows" in reported
    assert "m.jsonl:9" in reported and "m.jsonl:10: no caption is left after cleaning" in reported


def test_above_the_share_the_run_stops_and_lists_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"2 broken rows, but max_bad_fraction 0.1 allows 1 of 10.*m.jsonl:9.*:10") as e:
        usable_rows(manifest(tmp_path, good=8, truncated=2), CLEAN, max_bad_fraction=0.1)
    assert "\n" not in str(e.value)


def test_many_broken_rows_are_listed_in_a_file_to_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    problems = [f"m.jsonl:{k}: no" for k in range(40)]
    with pytest.raises(UserError, match="m.jsonl:4: no; and 35 more, all in .*txt$") as error:
        leave_out(problems, [], 0.1)
    assert Path(str(error.value).rpartition("all in ")[2]).read_text().splitlines() == problems
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert listed(problems).endswith("m.jsonl:4: no; and 35 more")


def test_keys_tell_pictures_apart_by_content(tmp_path: Path) -> None:
    source = manifest(tmp_path, good=3)
    first = [row.key for row in usable_rows(source, CLEAN, max_bad_fraction=0, keys=True)]
    assert len(set(first)) == 3
    Image.new("L", (32, 32)).save(tmp_path / "1.png")
    second = [row.key for row in usable_rows(source, CLEAN, max_bad_fraction=0, keys=True)]
    assert [a == b for a, b in zip(first, second, strict=True)] == [True, False, True]


def painted(*colour: int) -> Image.Image:
    """A picture whose pixels are all entry 0 of its palette."""
    image = Image.new("P", (4, 2))
    image.putpalette(colour)
    return image


def held(orientation: int) -> tuple[Image.Image, dict]:
    """One picture by a camera held so, and how to save it."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    return Image.linear_gradient("L"), {"exif": exif}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((painted(255, 0, 0), {}), (painted(0, 0, 255), {})),
        ((painted(255, 0, 0), {}), (painted(255, 0, 0), {"transparency": 0})),
        (held(1), held(6)),
    ],
    ids=["palette", "transparency", "orientation"],
)
def test_keys_tell_apart_pictures_of_the_same_bytes(tmp_path: Path, one: tuple, other: tuple) -> None:
    source = manifest(tmp_path, good=2)
    for name, (image, options) in enumerate([one, other]):
        image.save(tmp_path / f"{name}.png", **options)
    first, second = usable_rows(source, CLEAN, max_bad_fraction=0, keys=True)
    assert first.load().tobytes() == second.load().tobytes()
    assert first.key != second.key
