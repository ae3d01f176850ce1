"""Files that commands write line by line."""

import errno
import io
from pathlib import Path

import pytest

from mmtasks.errors import UserError
from mmtasks.inference.output import JsonLines, WholeFile


def test_lines_are_there_at_once_and_the_file_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "o.jsonl"
    path.write_text("old\n")
    with JsonLines(path) as out:
        out.add({"id": "é"})
        assert out.beside.read_text(encoding="utf-8") == '{"id": "é"}\n'
        assert path.read_text() == "old\n"
    assert path.read_text(encoding="utf-8") == '{"id": "é"}\n'
    assert list(tmp_path.iterdir()) == [path]


def test_of_a_failure_without_a_line_nothing_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), JsonLines(tmp_path / "o.jsonl"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [] and capsys.readouterr().err == ""


@pytest.mark.parametrize(("endless", "kept"), [(False, "o.txt.part"), (True, "o.txt")])
def test_a_stop_ends_only_what_has_no_other_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], endless: bool, kept: str
) -> None:
    with pytest.raises(KeyboardInterrupt), WholeFile(tmp_path / "o.txt", unit="parts", endless=endless) as out:
        out.stream.write("a")
        out.count = 1
        raise KeyboardInterrupt
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {kept: "a"}
    assert ("1 parts done are kept in" in capsys.readouterr().err) is not endless


def test_what_cannot_be_written_is_a_line(tmp_path: Path) -> None:
    with (
        pytest.raises(UserError, match=r"o\.jsonl: cannot be written \(No such file"),
        JsonLines(tmp_path / "no/o.jsonl"),
    ):
        pass


class Full(io.StringIO):
    """A file on a disk without room."""

    def flush(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "open", lambda *_, **__: Full())
    out = JsonLines(tmp_path / "o.jsonl")
    with pytest.raises(UserError, match=r"o\.jsonl: cannot be written \(No space left"), out:
        out.add({})
