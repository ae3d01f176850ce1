"""What is wrong with a config, in one line instead of the parser's many."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException

from mmtasks.data.manifest import read_text
from mmtasks.errors import UserError

WHERE = "Problem with given class_path "
OPTION = "Parser key "


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn errors of parsing and of making the configured objects into a UserError that says only what is wrong."""
    try:
        yield
    except (ValueError, TypeError, argparse.ArgumentError, MisconfigurationException) as error:
        raise UserError(one_line(error)) from error


def one_line(error: BaseException) -> str:
    """The first cause of an error, and the class and the option it was found in where the parser names them.

    The parser hides causes that say more than it does; a UserError says all that there is to say.
    """
    chain = [error]
    while not isinstance(chain[-1], UserError) and (cause := chain[-1].__cause__ or chain[-1].__context__):
        chain.append(cause)
    if isinstance(chain[-1], UserError):
        return str(chain[-1])
    reason = _first_sentence(str(chain[-1]))
    return ": ".join([name for name in _found_in(chain) if name not in reason] + [reason])


def _found_in(chain: list[BaseException]) -> list[str]:
    """The innermost class that the parser names, and the option of it, or of the command line."""
    classes: list[str] = []
    options: list[str] = []
    for error in map(str, chain):
        if error.startswith(WHERE):
            classes, options = [error.split("'")[1]], []
        elif error.startswith(OPTION):
            options = [error.split('"')[1]]
    return classes + options


def check_yaml(paths: Iterable[str | Path]) -> None:
    """Complain of the first file that is no YAML; those that are missing are left to the parser.

    Raises:
        UserError: which, where and why.
    """
    for path in paths:
        if not Path(path).is_file():
            continue
        try:
            yaml.compose(read_text(Path(path)))
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise UserError(f"{path}:{line}: not YAML ({error.problem}); mend it") from None
        except yaml.YAMLError as error:
            raise UserError(f"{path}: not YAML ({' '.join(str(error).split())}); mend it") from None


def _first_sentence(text: str) -> str:
    """Of a listing of alternatives the first one's complaint, else the first line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    bullets = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
    return bullets[0] if bullets else lines[0] if lines else "the config cannot be read"
