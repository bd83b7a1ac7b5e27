"""Errors of ours: few, typed, written for the person who can fix them."""

from dataclasses import dataclass


class Unresolved(Exception):  # noqa: N818  it is a state of the resource, shown in a condition
    """The spec cannot be turned into a revision. ``reason`` is a stable CamelCase word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


@dataclass(frozen=True, slots=True)
class Problem:
    """Why an objective cannot be asked: one stable word, and one line for people."""

    cause: str
    message: str
