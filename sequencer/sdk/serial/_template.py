"""The template language: which pieces a serial is made of, and which templates are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from string import Formatter
from typing import Final

from sequencer.sdk.serial._calendar import PART_WIDTHS, Reset, tells_period
from sequencer.sdk.serial._check import CheckSystem, check_system
from sequencer.sdk.serial._errors import SerialError, SerialTemplateError
from sequencer.sdk.serial._radix import MAX_NUMBER, written

MAX_TEMPLATE: Final = 200
MAX_WIDTH: Final = 32
MIN_HIDDEN: Final = 1_000_000
"""Among fewer numbers none can be hidden (the floor of NIST SP 800-38G)."""

_NUMBER: Final = re.compile(r"(?:0([1-9][0-9]?))?(?:r(10|16|36|62))?")
_DATE: Final = re.compile(r"%(.?)|([^%]+)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """Text that stands as it is."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DatePart:
    """A part of the business date, by its letter in `PART_WIDTHS`."""

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """The number: padded to `width` digits, or as wide as it is when that is 0."""

    width: int
    radix: int
    is_hidden: bool = False

    @property
    def size(self) -> int:
        """How many numbers there is room for: 0 … size - 1."""
        room: int = self.radix**self.width if self.width else MAX_NUMBER + 1
        return min(room, MAX_NUMBER + 1)

    @property
    def longest(self) -> int:
        """The most digits that it may have."""
        return self.width or len(written(MAX_NUMBER, self.radix))


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Check characters over all that stands before them."""

    system: CheckSystem


Piece = Literal | DatePart | Number | Check


@dataclass(frozen=True, kw_only=True)
class Template:
    """The pieces of a serial, from left to right."""

    pieces: tuple[Piece, ...]

    @cached_property
    def number(self) -> Number:
        """The number; there is one."""
        return next(piece for piece in self.pieces if isinstance(piece, Number))

    @cached_property
    def check(self) -> CheckSystem | None:
        """The system of its check characters."""
        return next((piece.system for piece in self.pieces if isinstance(piece, Check)), None)

    @cached_property
    def parts(self) -> frozenset[str]:
        """Which parts of the date it tells."""
        return frozenset(piece.code for piece in self.pieces if isinstance(piece, DatePart))

    @cached_property
    def fixed_width(self) -> int:
        """How many characters the pieces have whose width does not vary."""
        return sum(map(width_of, self.pieces))


def width_of(piece: Piece) -> int:
    """How many characters a piece has; 0 for a number whose width varies."""
    match piece:
        case Literal(text=text):
            return len(text)
        case DatePart(code=code):
            return PART_WIDTHS[code]
        case Number(width=width):
            return width
        case Check(system=system):
            return system.width


def parse(template: str, reset: Reset) -> Template:
    """The pieces of a template that makes unique serials which can be read again.

    Raises:
        SerialTemplateError: it is not one; the text says why.
    """
    if len(template) > MAX_TEMPLATE:
        raise SerialTemplateError(f"the template has more than {MAX_TEMPLATE} characters")
    if not template.isprintable():
        raise SerialTemplateError("the template has characters that cannot be printed")
    parsed = Template(pieces=tuple(_pieces(template)))
    _check_number(parsed)
    for at, piece in enumerate(parsed.pieces):
        if isinstance(piece, Check):
            _check_check(piece.system, parsed.pieces[:at], parsed.pieces[at + 1 :])
    if not tells_period(parsed.parts, reset):
        raise SerialTemplateError(
            f"numbers begin anew each {reset.name.lower()}, which its date does not tell:"
            " serials would repeat"
        )
    return parsed


def _pieces(template: str) -> Iterator[Piece]:
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise SerialTemplateError(f"the template's braces are wrong: {error}") from error
    for text, name, spec, conversion in fields:
        if text:
            yield Literal(text=text)
        if conversion:
            raise SerialTemplateError(f"'!{conversion}' has no meaning in a template")
        if name is not None:
            yield from _field(name, spec or "")


def _field(name: str, spec: str) -> Iterator[Piece]:
    match name:
        case "number" | "hidden":
            yield _number(spec, is_hidden=name == "hidden")
        case "date":
            yield from _date(spec)
        case "check":
            yield _check(spec)
        case _:
            raise SerialTemplateError(
                f"there is no field {name!r}: number, hidden, date and check are"
            )


def _number(spec: str, *, is_hidden: bool) -> Number:
    found = _NUMBER.fullmatch(spec)
    if found is None or int(found[1] or 0) > MAX_WIDTH:
        raise SerialTemplateError(
            f"the number's {spec!r} is not understood: '08' is 8 digits, at most {MAX_WIDTH};"
            " 'r36' is radix 36 (of 10, 16, 36 and 62); '08r36' is both"
        )
    return Number(width=int(found[1] or 0), radix=int(found[2] or 10), is_hidden=is_hidden)


def _date(spec: str) -> Iterator[Piece]:
    if "%" not in spec:
        raise SerialTemplateError("a date says what of it: 'date:%Y%m%d'")
    for found in _DATE.finditer(spec):
        code, text = found.groups()
        if text:
            yield Literal(text=text)
        elif code in PART_WIDTHS:
            yield DatePart(code=code)
        else:
            raise SerialTemplateError(f"%{code} is not understood: {_codes()} are")


def _check(spec: str) -> Check:
    try:
        return Check(system=check_system(spec))
    except SerialError as error:
        raise SerialTemplateError(str(error)) from error


def _check_number(template: Template) -> None:
    numbers = [piece for piece in template.pieces if isinstance(piece, Number)]
    if len(numbers) != 1:
        raise SerialTemplateError(f"a template has one number, not {len(numbers)}")
    (number,) = numbers
    if number.is_hidden and not number.width:
        raise SerialTemplateError("a hidden number needs a width: 'hidden:010'")
    if number.is_hidden and not MIN_HIDDEN <= number.radix**number.width <= MAX_NUMBER + 1:
        raise SerialTemplateError(f"hiding needs {MIN_HIDDEN} to 2**63 numbers: another width")


def _check_check(system: CheckSystem, before: tuple[Piece, ...], after: tuple[Piece, ...]) -> None:
    """Refuse what the check would not protect in full, or what the system has no rule for."""
    if any(not isinstance(piece, Literal) for piece in after):
        raise SerialTemplateError("one check stands behind the number and all of the date")
    for piece in before:
        if isinstance(piece, Number) and piece.radix not in system.radices:
            raise SerialTemplateError(
                f"{system.name} does not protect numbers in radix {piece.radix};"
                " mod37-36 does those in 10, 16 and 36"
            )
        if isinstance(piece, Literal) and not all(map(system.accepts, piece.text)):
            raise SerialTemplateError(f"{system.name} has no rule for a letter in {piece.text!r}")


def _codes() -> str:
    return ", ".join(f"%{code}" for code in PART_WIDTHS)
