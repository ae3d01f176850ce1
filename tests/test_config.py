"""A configured object as plain values, and back."""

from pathlib import Path

import pytest
from torch import nn

from mmtasks.config import Configured, describe, instantiate
from mmtasks.errors import UserError


class Bare(nn.Module):
    """Has no arguments, and no constructor of its own."""


class Sized(nn.Module):
    """Keeps its argument."""

    def __init__(self, size: int, inner: nn.Module | None = None) -> None:
        super().__init__()
        self.size = size
        self.inner = inner


class Forgetful(nn.Module):
    """Does not."""

    def __init__(self, size: int) -> None:
        super().__init__()


def test_what_is_described_can_be_made_again() -> None:
    plain = describe({"one": Sized(3, Bare())})
    made = instantiate(plain)["one"]
    assert (made.size, type(made.inner)) == (3, Bare)
    assert describe({"one": made}) == plain


def test_an_argument_that_is_not_kept_is_named() -> None:
    with pytest.raises(TypeError, match="Forgetful does not keep its argument 'size'"):
        describe(Forgetful(3))


class Plain:
    """Is neither a module nor said to be configured."""


class Kept(Configured):
    """Says so."""

    def __init__(self, name: str) -> None:
        self.name = name


def test_a_class_of_a_user_s_own_says_that_it_may_be_made() -> None:
    assert instantiate(describe(Kept("a"))).name == "a"
    with pytest.raises(TypeError, match="Plain is none that a checkpoint may make; derive it from mmtasks.config.Con"):
        describe(Plain())


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("os.mkdir", {"path": "made"}),
        ("subprocess.Popen", {"args": ["mkdir", "made"]}),
        ("numpy.memmap", {"filename": "made", "mode": "w+", "shape": [1]}),
        ("tests.test_config.Plain", {}),
        ("mmtasks.data.summary_write.SummaryWriter", {"path": "made"}),
        ("mmtasks.tasks.launch.RunFolderCLI", {}),
    ],
)
def test_what_is_no_part_of_a_model_is_not_run(
    path: str, arguments: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=f"{path}: no part of a model; it is not run"):
        instantiate({"inner": [{"class_path": path, "init_args": arguments}]})
    assert not (tmp_path / "made").exists()
