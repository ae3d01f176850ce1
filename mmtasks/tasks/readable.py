"""What is wrong with a config, in one line instead of the parser's many."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from mmtasks.errors import UserError

WHERE = "Problem with given class_path "


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn errors of parsing and of making the configured objects into a UserError that says only what is wrong."""
    try:
        yield
    except (ValueError, TypeError, argparse.ArgumentError) as error:
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """The first cause of an error, and the class it was found in where the parser names one."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    named = [str(e).split("'")[1] for e in chain if str(e).startswith(WHERE)]
    reason = _first_sentence(str(chain[-1]))
    return f"{named[-1]}: {reason}" if named and named[-1] not in reason else reason


def _first_sentence(text: str) -> str:
    """Of a listing of alternatives the first one's complaint, else the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bullets = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return bullets[0] if bullets else lines[0] if lines else "the config cannot be read"
