"""Errors of ours: few, typed, written for the person who can fix them."""

from dataclasses import dataclass

from pydantic import ValidationError


class Unresolved(Exception):  # noqa: N818  it is a state of the resource, shown in a condition
    """The spec cannot be turned into a revision. ``reason`` is a stable CamelCase word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def first_words(error: ValidationError, *root: str) -> str:
    """Say in one line what is wrong first in a resource, with the path of the field below ``root``."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = ".".join(str(part) for part in (*root, *first["loc"]))
    return f"{path}: {first['msg']}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an objective cannot be asked: one stable word, and one line for people."""

    cause: str
    message: str
