"""The error a person can act on: it becomes one line on the terminal, never a traceback."""


class UserError(ValueError):
    """Bad input: the message names the file, row or option, and says what to do. One line."""


class Interrupted(Exception):
    """Training was asked to stop and has saved a checkpoint; the message says how to go on. One line."""
