"""How a verb ends: exit codes, and errors that are one line for people."""

from enum import IntEnum


class Exit(IntEnum):
    """Exit codes; documented in docs/cli.md and stable."""

    DONE = 0
    FAILED = 1
    """The cluster, a file or a right is missing."""
    USAGE = 2
    REFUSED = 3
    """It cannot work now, or the file is not valid: nothing was changed."""
    NOT_YET = 4
    """The effect has not come in time; it may still come."""
    OTHERWISE = 5
    """The opposite has happened, such as a rollback while a promotion was waited for."""
    INTERRUPTED = 130


class CliError(Exception):
    """An error in one line, with the code that the program exits with."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class UnreachableError(CliError):
    """Nobody answers, or the answer broke off: later somebody may."""


class ApiError(CliError):
    """What the API server answered."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


def told(error: Exception) -> CliError:
    """Return any error as one line: one that nobody has foreseen with its type."""
    if isinstance(error, CliError):
        return error
    return CliError(f"{type(error).__name__}: {' '.join(str(error).split())}")
