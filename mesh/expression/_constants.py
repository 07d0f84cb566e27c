"""Constants as the parser meets them in a text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from mesh.expression import _literals
from mesh.expression._errors import ExpressionError
from mesh.expression._tokens import Kind, Tokens
from mesh.expression._tree import Literal
from mesh.expression._types import BOOL, DURATION, INT, STRING, TIMESTAMP, FieldType

_WHOLE: Final = "a whole number of 64 bits (amounts in fen, rates in basis points)"
_ESCAPES: Final = r"a string with no other escapes than \\ \' \" \n \r \t \uXXXX \UXXXXXXXX"
_CLOSED: Final = "a string that ends, on its line, with the quote it begins with"


class _Quoted(NamedTuple):
    """A constant that is written as `word('text')`."""

    type: FieldType
    read: Callable[[str], int | None]
    expected: str


_QUOTED: Final[Mapping[str, _Quoted]] = {
    "timestamp": _Quoted(
        TIMESTAMP, _literals.read_timestamp, "a time such as '2026-01-31T08:00:00Z'"
    ),
    "duration": _Quoted(
        DURATION, _literals.read_duration, "a duration such as '1h30m', in h m s ms us"
    ),
}
_BOOLS: Final[Mapping[str, bool]] = {"true": True, "false": False}


def constant(tokens: Tokens) -> Literal | None:
    """The constant that comes next, with its sign; None when none does.

    Raises:
        ExpressionError: it begins as one, and is none.
    """
    token = tokens.first
    if token.kind is Kind.NUMBER:
        return number(tokens, token.position, negative=False)
    if token.kind is Kind.STRING:
        return Literal(position=token.position, type=STRING, value=_string(tokens))
    if token.text in _BOOLS:
        tokens.take()
        return Literal(position=token.position, type=BOOL, value=_BOOLS[token.text])
    if token.text in ("'", '"'):
        raise tokens.unexpected(_CLOSED)
    return _quoted(tokens, _QUOTED[token.text]) if token.text in _QUOTED else None


def number(tokens: Tokens, position: int, *, negative: bool) -> Literal:
    """The number that comes next; a sign before it was read at `position`.

    Raises:
        ExpressionError: it is no whole number of 64 bits.
    """
    token = tokens.take()
    value = _literals.read_int(token.text, negative=negative)
    if value is None:
        raise ExpressionError(token.position, _WHOLE)
    return Literal(position=position, type=INT, value=value)


def _string(tokens: Tokens) -> str:
    token = tokens.take()
    value = _literals.read_string(token.text)
    if value is None:
        raise ExpressionError(token.position, _ESCAPES)
    return value


def _quoted(tokens: Tokens, form: _Quoted) -> Literal:
    position = tokens.take().position
    tokens.expect("(")
    text = tokens.first
    if text.kind is not Kind.STRING:
        raise tokens.unexpected(form.expected)
    value = form.read(_string(tokens))
    if value is None:
        raise ExpressionError(text.position, form.expected)
    tokens.expect(")")
    return Literal(position=position, type=form.type, value=value)
