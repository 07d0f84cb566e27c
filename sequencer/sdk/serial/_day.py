"""What all serials of a business date share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from typing import NamedTuple

from sequencer.sdk.serial._calendar import part
from sequencer.sdk.serial._check import CheckSystem
from sequencer.sdk.serial._template import Check, DatePart, Literal, Number, Piece, Template


class Day(NamedTuple):
    """The text around a number.

    `state` is the check's after `head`; `tails` has what stands behind the number
    for each state after it. `encode` hides the number, when it is to be.
    """

    head: str
    state: int
    tails: tuple[str, ...]
    encode: Callable[[int], int] | None


def day_of(
    template: Template, business_date: date | None, encode: Callable[[int], int] | None
) -> Day:
    """The day of a business date, which is None only when no piece tells it."""
    at = template.pieces.index(template.number)
    head = _joined(template.pieces[:at], business_date)
    behind = template.pieces[at + 1 :]
    check = template.check
    if check is None:
        return Day(head, 0, (_joined(behind, business_date),), encode)
    return Day(head, check.after(head, check.start), _tails(check, behind, business_date), encode)


def _tails(
    check: CheckSystem, behind: tuple[Piece, ...], business_date: date | None
) -> tuple[str, ...]:
    at = behind.index(Check(system=check))
    middle = _joined(behind[:at], business_date)
    rest = _joined(behind[at + 1 :], business_date)
    states = range(len(check.ends))
    return tuple(middle + check.ends[check.after(middle, state)] + rest for state in states)


def _joined(pieces: Iterable[Piece], business_date: date | None) -> str:
    return "".join(_text(piece, business_date) for piece in pieces)


def _text(piece: Piece, business_date: date | None) -> str:
    match piece:
        case Literal(text=text):
            return text
        case DatePart(code=code):
            assert business_date is not None
            return part(business_date, code)
        case Number() | Check():
            raise AssertionError("of these each serial has its own")
