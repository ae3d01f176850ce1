"""A configured object as plain values, and back."""

import pytest
from torch import nn

from mmtasks.config import describe, instantiate


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
