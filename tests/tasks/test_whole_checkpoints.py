"""A checkpoint file is whole or absent, whatever happens while it is written."""

import errno
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmtasks.tasks.whole_checkpoints import WholeCheckpoints, clear_parts, newest

MIB = 2**20


def _checkpoint(value: float) -> dict[str, torch.Tensor]:
    return {"x": torch.full((MIB,), value)}  # 4 MiB


@pytest.fixture
def small_disk() -> Iterator[None]:
    """No file may grow beyond 1 MiB: the write that crosses it fails, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _value(path: Path) -> float:
    return float(torch.load(path, weights_only=True)["x"][0])


def test_what_is_written_is_read_and_nothing_is_left_beside(tmp_path: Path) -> None:
    path = tmp_path / "new" / "last.ckpt"
    WholeCheckpoints().save_checkpoint(_checkpoint(1), path)
    assert _value(path) == 1
    assert list(path.parent.iterdir()) == [path]


def test_a_full_disk_keeps_the_older_file_and_training_goes_on(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    path, io = tmp_path / "last.ckpt", WholeCheckpoints()
    io.save_checkpoint(_checkpoint(1), path)
    request.getfixturevalue("small_disk")
    with pytest.warns(UserWarning, match=r"last\.ckpt: not written \(File too large\); the older one stays"):
        io.save_checkpoint(_checkpoint(2), path)
    assert _value(path) == 1
    assert list(tmp_path.iterdir()) == [path]
    assert io.unwritten == {path: "File too large"}


def test_the_next_save_tries_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, io = tmp_path / "last.ckpt", WholeCheckpoints()
    with monkeypatch.context() as patched:
        patched.setattr(torch, "save", _no_space)
        with pytest.warns(UserWarning, match=r"No space left on device\); there is none yet"):
            io.save_checkpoint(_checkpoint(1), path)
    assert not list(tmp_path.iterdir())
    io.save_checkpoint(_checkpoint(2), path)
    assert _value(path) == 2
    assert not io.unwritten


def test_what_is_not_about_the_disk_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        WholeCheckpoints().save_checkpoint(_checkpoint(1), tmp_path / "last.ckpt")
    assert not list(tmp_path.iterdir())


def test_leftovers_are_cleared_and_never_taken_for_a_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "last.ckpt.part").write_bytes(b"half")
    assert newest(tmp_path) is None
    (tmp_path / "last.ckpt").write_bytes(b"whole")
    clear_parts(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    assert newest(tmp_path) == tmp_path / "last.ckpt"


def _no_space(checkpoint: object, file: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")
