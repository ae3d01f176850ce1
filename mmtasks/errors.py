"""The error a person can act on: it becomes one line on the terminal, never a traceback."""

import sys
from collections.abc import Callable


class UserError(ValueError):
    """Bad input: the message names the file, row or option, and says what to do. One line."""


class Interrupted(Exception):
    """Training was asked to stop and has saved a checkpoint; the message says how to go on. One line."""


def in_one_line(command: Callable[[], int | None]) -> int:
    """Run a command; an error a person can mend (status 2), or a stop (130), becomes one line.

    Returns the exit status: the command's own, 0 where it gives none.
    """
    try:
        return command() or 0
    except UserError as error:
        print(f"mmtasks: error: {error}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt) as stop:
        print(f"\nmmtasks: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
