"""What can go wrong with serial numbers."""

from __future__ import annotations


class SerialError(ValueError):
    """Root of the errors of this package; the text says what to change."""


class SerialTemplateError(SerialError):
    """The template cannot be used, alone or with its zone, reset or key."""


class SerialOverflow(SerialError):  # noqa: N818 - a state of the sequence, as in decimal.Overflow
    """The number has more digits than the template has room for, or is negative."""


class SerialDateError(SerialError):
    """There is no business date, or one that the template cannot write."""


class SerialKeyError(SerialError):
    """The format hides its numbers, and was made without the key."""


class SerialTextError(SerialError):
    """A text is no serial of the format; `position` is the first wrong character's, from 0."""

    def __init__(self, message: str, *, position: int) -> None:
        super().__init__(message)
        self.position = position


class SerialCheckError(SerialTextError):
    """The check characters do not fit what stands before them: it was mistyped."""
