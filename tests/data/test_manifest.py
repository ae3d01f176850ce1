import pytest

from mmtasks.data.manifest import read_rows, resolve
from mmtasks.errors import UserError


def fails(path, *words, **options):
    with pytest.raises(UserError) as caught:
        read_rows(path, **options)
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_jsonl_and_csv_give_the_same_rows(tmp_path):
    jsonl = write(tmp_path, "a.jsonl", '{"id": "x", "t": "é"}\n\n{"id": 7, "t": "\u2028"}\r\n')
    table = write(tmp_path, "a.csv", "\ufeffid,t\r\nx,é\r\n7,\u2028\r\n")
    assert read_rows(jsonl) == [("a.jsonl:1", {"id": "x", "t": "é"}), ("a.jsonl:3", {"id": "7", "t": "\u2028"})]
    assert [row for _, row in read_rows(table)] == [row for _, row in read_rows(jsonl)]


def test_csv_row_over_several_lines_is_named_by_its_first(tmp_path):
    path = write(tmp_path, "a.csv", 'id,t\n1,"a\nb"\n2,c\n')
    assert [where for where, _ in read_rows(path)] == ["a.csv:2", "a.csv:4"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", b'{"id": 1}\n{"id": "\xff"}\n', ["a.jsonl:2", "UTF-8"]),
        ("a.csv", b"id,t\n1,\xff\n", ["a.csv:2", "UTF-8"]),
        ("a.jsonl", '{"id": "\\ud800"}', ["a.jsonl:1", "half a character"]),
        ("a.jsonl", '{"id": 1}\n{"id": 2', ["a.jsonl:2", "not JSON"]),
        ("a.jsonl", "[" * 100_000, ["a.jsonl:1", "not JSON"]),
        ("a.jsonl", "[1]", ["a.jsonl:1", "list"]),
        ("a.jsonl", '{"id": 1}\n{"id": 2}\n{"id": "1"}', ["a.jsonl:3", "'1'", "a.jsonl:1"]),
        ("a.csv", "id,t\n1,x\n1,y\n", ["a.csv:3", "a.csv:2"]),
        ("a.jsonl", '{"name": 1}', ["a.jsonl:1", "'id'", "name"]),
        ("a.csv", "name,t\n1,x\n", ["a.csv:1", "'id'", "name, t"]),
        ("a.jsonl", '{"id": 1}\n{"t": 2}', ["a.jsonl:2", "None"]),
        ("a.csv", "id,t\n1\n", ["a.csv:2", "2 columns"]),
        ("a.csv", "id,t\n1,2,3\n", ["a.csv:2", "2 columns"]),
        ("a.csv", 'id,t\n1,"x\n', ["a.csv:", "quotes"]),
        ("a.jsonl", "\n", ["no rows"]),
        ("a.txt", "x", [".jsonl", ".txt"]),
    ],
)
def test_bad_files_are_one_line(tmp_path, name, content, words):
    fails(write(tmp_path, name, content), *words)


def test_missing_file_and_folder(tmp_path):
    fails(tmp_path / "no.jsonl", "no.jsonl", "no such file")
    fails(tmp_path, str(tmp_path))


def test_repeated_ids_may_differ_only_in_the_merged_column(tmp_path):
    path = write(tmp_path, "a.csv", "id,image,caption\n1,x,a\n1,x,b\n")
    assert len(read_rows(path, merge="caption")) == 2
    fails(path, "a.csv:3")
    fails(write(tmp_path, "b.csv", "id,image,caption\n1,x,a\n1,y,b\n"), "b.csv:3", "b.csv:2", merge="caption")


@pytest.mark.parametrize("path", ["/etc/x.jpg", "C:/x.jpg", "C:x.jpg", "\\x.jpg", "\\\\host\\share\\x.jpg"])
def test_absolute_paths_are_refused(tmp_path, path):
    with pytest.raises(UserError, match=r"a:1: .*absolute"):
        resolve(tmp_path, path, "a:1")


@pytest.mark.parametrize("path", ["..", "../x.jpg", "a/../../x.jpg", "..\\x.jpg"])
def test_paths_that_leave_the_folder_are_refused(tmp_path, path):
    with pytest.raises(UserError, match=r"a:1: .*leaves"):
        resolve(tmp_path, path, "a:1")


def test_paths_inside_the_folder(tmp_path):
    assert resolve(tmp_path, "a/..b.jpg", "a:1") == tmp_path / "a" / "..b.jpg"
