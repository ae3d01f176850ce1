"""The error a person can act on: it becomes one line on the terminal, never a traceback."""

import sys
from collections.abc import Callable


class UserError(ValueError):
    """Bad input: the message names the file, row or option, and says what to do. One line."""


class Interrupted(Exception):
    """Training was asked to stop and has saved a checkpoint; the message says how to go on. One line."""


def in_one_line(command: Callable[[], int]) -> int:
    """Run a command, return its exit status; an error a person can mend, or a stop, becomes one line."""
    try:
        return command()
    except UserError as error:
        print(f"mmtasks: error: {error}", file=sys.stderr)
        return 2
    except (Interrupted, KeyboardInterrupt) as stop:
        print(f"\nmmtasks: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
