import json

import pytest
from PIL import Image

from mmtasks.data.sources import CocoCaptions, FlickrTokens, Manifest
from mmtasks.errors import UserError

PAIRS = {"a.png": ["a dog", "one dog"], "b.png": ["a cat", "one cat"]}


@pytest.fixture
def folder(tmp_path):
    for name, colour in zip(PAIRS, ("red", "blue"), strict=True):
        Image.new("RGB", (4, 3), colour).save(tmp_path / name)
    return tmp_path


def jsonl(folder, *rows, name="m.jsonl"):
    (folder / name).write_text("\n".join(json.dumps(row) for row in rows))
    return str(folder / name)


def text(folder, content, name):
    (folder / name).write_text(content)
    return str(folder / name)


def coco(folder, images, annotations):
    return text(folder, json.dumps({"images": images, "annotations": annotations}), "c.json")


def good(**changes):
    return {"id": "1", "image": "a.png", "captions": ["a dog"], **changes}


def every_source(folder):
    images = [{"id": i, "file_name": name} for i, name in enumerate(PAIRS)]
    captions = [(i, name, k, c) for i, name in enumerate(PAIRS) for k, c in enumerate(PAIRS[name])]
    yield Manifest(jsonl(folder, *[{"id": n, "image": n, "captions": c} for n, c in PAIRS.items()]))
    yield Manifest(text(folder, "id,image,captions\na,a.png,a dog|one dog\nb,b.png,a cat|one cat\n", "bar.csv"))
    lists = 'id,image,captions\na,a.png,"[""a dog"", ""one dog""]"\nb,b.png,"[""a cat"", ""one cat""]"\n'
    yield Manifest(text(folder, lists, "list.csv"))
    lines = "".join(f"{name},{name},{caption}\n" for _, name, _, caption in captions)
    yield Manifest(text(folder, "id,image,caption\n" + lines, "lines.csv"))
    annotations = [{"image_id": i, "caption": caption} for i, _, _, caption in captions]
    yield CocoCaptions(coco(folder, images, annotations), str(folder))
    lines = "".join(f"{name}#{k}\t{caption}\n" for _, name, k, caption in captions)
    yield FlickrTokens(text(folder, lines, "8k.txt"), str(folder))
    lines = "".join(f"{name}| {k}| {caption}\n" for _, name, k, caption in captions)
    yield FlickrTokens(text(folder, "image_name| comment_number| comment\n" + lines, "30k.csv"), str(folder))


def test_all_sources_give_the_same_rows(folder):
    for source in every_source(folder):
        assert source.problems == []
        assert [row.captions for row in source] == list(PAIRS.values())
        assert [row.load().getpixel((0, 0)) for row in source] == [(255, 0, 0), (0, 0, 255)]
        assert len({row.id for row in source}) == len(source) == 2


def test_limit_and_skip_part_the_samples(folder):
    path = jsonl(folder, *[good(id=str(i)) for i in range(5)])
    assert [row.id for row in Manifest(path, limit=3)] == ["0", "1", "2"]
    assert [row.id for row in Manifest(path, skip=3)] == ["3", "4"]
    assert [row.id for row in Manifest(path, skip=1, limit=2)] == ["1", "2"]
    with pytest.raises(ValueError, match="limit 0"):
        Manifest(path, limit=0)
    with pytest.raises(ValueError, match="skip -1"):
        Manifest(path, skip=-1)


def test_environment_variables_are_filled_in(folder, monkeypatch):
    jsonl(folder, good())
    monkeypatch.setenv("MMTASKS_DATA", str(folder))
    source = Manifest("$MMTASKS_DATA/m.jsonl")
    assert len(source) == 1
    assert source.path == "$MMTASKS_DATA/m.jsonl"
    monkeypatch.delenv("MMTASKS_DATA")
    for path in ("$MMTASKS_DATA/m.jsonl", "${MMTASKS_DATA}/m.jsonl"):
        with pytest.raises(UserError, match=r"\$MMTASKS_DATA is not set"):
            Manifest(path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image": None}, "no image"),
        ({"image": " "}, "no image"),
        ({"image": "no.png"}, "no such image"),
        ({"captions": []}, "no captions"),
        ({"captions": None}, "no captions"),
        ({"captions": ["a", " "]}, "caption 2 is empty"),
        ({"captions": ["a", 3]}, "caption 2 is 3"),
    ],
)
def test_unusable_rows_are_listed_and_left_out(folder, change, reason):
    source = Manifest(jsonl(folder, good(), good(id="2", **change)))
    assert [row.id for row in source] == ["1"]
    [problem] = source.problems
    assert problem.startswith("m.jsonl:2: ")
    assert reason in problem


def test_captions_that_are_not_utf8(folder):
    (folder / "m.jsonl").write_bytes(b'{"id": 1, "image": "a.png", "captions": ["caf\xe9"]}')
    with pytest.raises(UserError, match=r"m.jsonl:1: not UTF-8"):
        Manifest(str(folder / "m.jsonl"))
    images = [{"id": 1, "file_name": "a.png"}]
    source = CocoCaptions(coco(folder, images, [{"image_id": 1, "caption": "\ud800"}]), str(folder))
    assert "not UTF-8" in source.problems[0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([good(image="../a.png")], r"m.jsonl:1: .*leaves"),
        ([good(image="/a.png")], r"m.jsonl:1: .*absolute"),
        ([good(), good()], r"m.jsonl:2: id '1' is already in m.jsonl:1"),
        ([{"id": "1", "captions": ["a"]}], "'image' is missing"),
        ([{"id": "1", "image": "a.png"}], "'captions' is missing"),
        ([good(label="dog")], "m.jsonl:1: label 'dog'"),
        ([good(label=1), good(id="2")], "m.jsonl:2: only some rows have a label"),
    ],
)
def test_unusable_manifests(folder, rows, message):
    with pytest.raises(UserError, match=message):
        Manifest(jsonl(folder, *rows))


def test_labels(folder):
    assert [r.label for r in Manifest(jsonl(folder, good(label=0), good(id="2", label=2)))] == [0, 2]
    assert Manifest(text(folder, "id,image,caption,label\n1,a.png,x,1\n", "l.csv"))[0].label == 1


def test_a_truncated_picture_is_named_when_it_is_loaded(folder):
    (folder / "a.png").write_bytes((folder / "a.png").read_bytes()[:45])
    with pytest.raises(UserError, match=r"m.jsonl:1: .*a.png"):
        Manifest(jsonl(folder, good()))[0].load()


@pytest.mark.parametrize(
    ("content", "message"),
    [("{", "c.json:1: not JSON"), ("{}", "not COCO"), ("[]", "not COCO"), ('{"images": [{}]}', "not COCO")],
)
def test_bad_coco_files(folder, content, message):
    with pytest.raises(UserError, match=message):
        CocoCaptions(text(folder, content, "c.json"), str(folder))


def test_coco_images_without_captions_twice_or_unknown(folder):
    image = {"id": 1, "file_name": "a.png"}
    assert "no captions" in CocoCaptions(coco(folder, [image], []), str(folder)).problems[0]
    with pytest.raises(UserError, match="twice"):
        CocoCaptions(coco(folder, [image, image], []), str(folder))
    with pytest.raises(UserError, match="image 9"):
        CocoCaptions(coco(folder, [image], [{"image_id": 9, "caption": "x"}]), str(folder))


def test_flickr_split_and_malformed_lines(folder):
    tokens = text(folder, "a.png#0\ta dog\nb.png#0\ta cat\nnonsense\nb.png#1\t\nc.png#0\tx\n", "t.txt")
    source = FlickrTokens(tokens, str(folder))
    assert [row.id for row in source] == ["a.png", "b.png"]
    assert [problem.split(" ")[0] for problem in source.problems] == ["t.txt:5:", "t.txt:3:", "t.txt:4:"]
    split = FlickrTokens(tokens, str(folder), ids=text(folder, "b.png\nz\n", "split.txt"))
    assert [row.id for row in split] == ["b.png"]
    assert [problem.split(" ")[0] for problem in split.problems] == ["t.txt:3:", "t.txt:4:", "split.txt:"]
    with pytest.raises(UserError, match="no line"):
        FlickrTokens(text(folder, "x\n", "x.txt"), str(folder))


def test_a_name_that_no_file_can_have_is_a_broken_row(folder):
    source = Manifest(jsonl(folder, good(), good(id="2", image="x" * 400 + ".png")))
    assert len(source) == 1
    [problem] = source.problems
    assert problem.startswith("m.jsonl:2") and "cannot be opened" in problem
