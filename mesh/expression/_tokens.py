"""A text as tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from mesh.expression._errors import ExpressionError
from mesh.expression._grammar import MAX_TEXT

_TOKEN = re.compile(
    r"""[ \t\n\r\f]*(?:
      (?P<NUMBER>[0-9][0-9A-Za-z_.]*)
    | (?P<STRING>'(?:[^'\\\n\r]|\\[^\n\r])*'|"(?:[^"\\\n\r]|\\[^\n\r])*")
    | (?P<NAME>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<SYMBOL>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]])
    | (?P<OTHER>[^ \t\n\r\f])
    )""",
    re.VERBOSE,
)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Kind(Enum):
    """What a token is; OTHER is a character that begins none, END the end of the text."""

    NUMBER = auto()
    STRING = auto()
    NAME = auto()
    SYMBOL = auto()
    OTHER = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text. `position` counts characters from 1; the end's text is empty."""

    kind: Kind
    text: str
    position: int


_MEANT: Final[Mapping[str, str]] = {
    "=": "==",
    "&": "&&",
    "|": "||",
    "and": "&&",
    "or": "||",
    "not": "!",
    "null": "has(field)",
}
"""What is written elsewhere, and what is written here."""


class Tokens:
    """The tokens of a text, of which `first` is the next to be taken; the end stays.

    Raises:
        ExpressionError: the text is too long, or is not Unicode.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_TEXT:
            raise ExpressionError(MAX_TEXT + 1, f"at most {MAX_TEXT} characters")
        if half := _SURROGATE.search(text):
            raise ExpressionError(half.start() + 1, "whole characters of Unicode")
        self._rest = _tokens(text)
        self.first = next(self._rest)

    def take(self) -> Token:
        """The next token, which is passed."""
        token = self.first
        self.first = next(self._rest, token)
        return token

    def at(self, text: str) -> bool:
        """Whether the next token is this one."""
        return self.first.text == text

    def accept(self, text: str) -> bool:
        """Pass the next token if it is this one; whether it was."""
        found = self.at(text)
        if found:
            self.take()
        return found

    def expect(self, text: str, expected: str = "") -> Token:
        """Take this token.

        Raises:
            ExpressionError: the next is another one.
        """
        if not self.at(text):
            raise self.unexpected(expected or text)
        return self.take()

    def expect_kind(self, kind: Kind, expected: str) -> Token:
        """Take a token of this kind.

        Raises:
            ExpressionError: the next is of another one.
        """
        if self.first.kind is not kind:
            raise self.unexpected(expected)
        return self.take()

    def unexpected(self, expected: str) -> ExpressionError:
        """An error for the next token."""
        meant = _MEANT.get(self.first.text.lower(), "")
        return ExpressionError(self.first.position, expected, hint=meant)


def _tokens(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or Kind.OTHER.name
        yield Token(Kind[kind], match[kind], match.start(kind) + 1)
    yield Token(Kind.END, "", len(text) + 1)
