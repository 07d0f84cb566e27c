"""What can be wrong with a text, and with a row."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import Enum

from mesh.errors import Violation

_NAMES_LISTED = 12


class ExpressionError(Exception):
    """A text, or a tree, that is no expression: where, and what may stand there.

    `position` counts characters from 1. The text that stands there is not
    repeated: people type names and numbers into expressions. `hint` is the name
    of the catalogue that was probably meant, or empty.
    """

    def __init__(self, position: int, expected: str, *, hint: str = "") -> None:
        self.position = position
        self.expected = expected
        self.hint = hint
        super().__init__(f"at character {position}: expected {self._wanted()}")

    def violation(self, field: str) -> Violation:
        """The error as a broken rule of the request's field."""
        return Violation(field, str(self))

    def _wanted(self) -> str:
        return f"{self.expected}; did you mean {self.hint}?" if self.hint else self.expected


class Fault(Enum):
    """Why an expression has no value for a row."""

    NO_SUCH_VALUE = "no such value"
    WRONG_TYPE = "wrong type"
    OVERFLOW = "overflow"
    DIVISION_BY_ZERO = "division by zero"


class EvaluationError(Exception):
    """An expression has no value for a row; the same row always meets the same error.

    `position` is that of the field or operator at fault; `field` is the field's
    name where one is missing or of another type than the catalogue says. Holds no values.
    """

    def __init__(self, fault: Fault, position: int, field: str = "") -> None:
        self.fault = fault
        self.position = position
        self.field = field
        super().__init__(fault, position, field)

    def __str__(self) -> str:  # made when it is read: many are made only to be absorbed
        of_field = f" of {self.field}" if self.field else ""
        return f"at character {self.position}: {self.fault.value}{of_field}"


def unknown_name(position: int, kind: str, name: str, known: Iterable[str]) -> ExpressionError:
    """An error for a name that is none of the known ones, with the nearest of them."""
    names = list(known)
    listed = len(names) <= _NAMES_LISTED
    expected = f"one of the {kind}s {', '.join(names)}" if listed else f"a {kind} of the catalogue"
    nearest = get_close_matches(name, names, n=1)
    return ExpressionError(position, expected, hint=nearest[0] if nearest else "")
