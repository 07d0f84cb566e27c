"""Serials taken apart again, with a reason for each that is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from sequencer.sdk.serial._calendar import date_of
from sequencer.sdk.serial._check import CheckSystem
from sequencer.sdk.serial._errors import SerialCheckError, SerialTextError
from sequencer.sdk.serial._radix import first_stranger, value
from sequencer.sdk.serial._template import (
    Check,
    DatePart,
    Literal,
    Number,
    Template,
    width_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What stands in a serial: the number as written, the parts of its date, the date if told."""

    number: int
    parts: Mapping[str, int]
    date: date | None


def read(template: Template, text: str) -> Reading:
    """Take a serial apart.

    Raises:
        SerialTextError: it has another shape than the template, or tells no date.
        SerialCheckError: its check characters are wrong.
    """
    varying = _checked_length(template, text) - template.fixed_width
    number, parts, at = 0, dict[str, int](), 0
    for piece in template.pieces:
        found = text[at : at + (width_of(piece) or varying)]
        match piece:
            case Literal(text=expected):
                _same(found, expected, at)
            case DatePart(code=code):
                _add(parts, code, _digits(found, 10, at), at)
            case Number():
                number = _number(piece, found, at)
            case Check(system=system):
                _check(system, text[:at], found)
        at += len(found)
    return Reading(number=number, parts=parts, date=_date(template, parts))


def _checked_length(template: Template, text: str) -> int:
    number, length = template.number, len(text)
    shortest = template.fixed_width + (0 if number.width else 1)
    longest = template.fixed_width + (0 if number.width else number.longest)
    if not shortest <= length <= longest:
        wanted = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
        raise SerialTextError(
            f"the serial has {length} characters, not {wanted}", position=min(length, longest)
        )
    return length


def _same(found: str, expected: str, at: int) -> None:
    if found == expected:
        return
    for offset, (character, wanted) in enumerate(zip(found, expected, strict=True)):
        if character != wanted:
            raise SerialTextError(
                f"{character!r} stands where {wanted!r} belongs", position=at + offset
            )


def _digits(found: str, radix: int, at: int) -> int:
    stranger = first_stranger(found, radix)
    if stranger is not None:
        raise SerialTextError(
            f"{found[stranger]!r} is no digit in radix {radix}", position=at + stranger
        )
    return value(found, radix)


def _number(piece: Number, found: str, at: int) -> int:
    number = _digits(found, piece.radix, at)
    if not piece.width and found[0] == "0" and len(found) > 1:
        raise SerialTextError("the number begins with 0", position=at)
    if number >= piece.size:
        raise SerialTextError(f"the number is above {piece.size - 1}", position=at)
    return number


def _add(parts: dict[str, int], code: str, number: int, at: int) -> None:
    if parts.setdefault(code, number) != number:
        raise SerialTextError(f"%{code} of the date stands there twice and differs", position=at)


def _check(system: CheckSystem, covered: str, found: str) -> None:
    if found != system.ends[system.after(covered, system.start)]:
        raise SerialCheckError(
            f"{system.name} does not fit: it was mistyped", position=len(covered)
        )


def _date(template: Template, parts: Mapping[str, int]) -> date | None:
    if not parts:
        return None
    try:
        return date_of(parts)
    except ValueError as error:
        raise SerialTextError(f"it tells no date: {error}", position=_date_at(template)) from error


def _date_at(template: Template) -> int:
    """Where the date begins; close to it when a number of varying width stands before."""
    at = 0
    for piece in template.pieces:
        if isinstance(piece, DatePart):
            break
        at += width_of(piece)
    return at
