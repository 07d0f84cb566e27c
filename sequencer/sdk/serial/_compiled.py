"""A template as one function, at the speed of an f-string written by hand.

Whatever the business date decides is worked out once for each (`Day`). The
function's source is made of the numbers in a `Number` and of names in this
module alone, never of text from a template.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, Protocol

from sequencer.sdk.serial._check import CheckSystem, block_tables
from sequencer.sdk.serial._day import Day
from sequencer.sdk.serial._errors import SerialOverflow
from sequencer.sdk.serial._radix import blocks, written
from sequencer.sdk.serial._template import Number

_BLOCK: Final = {10: 3, 16: 2, 36: 2, 62: 2}
"""How many digits one look into a table takes, by radix."""

_SOURCE: Final = """
def format(number, business_date=None):
    try:
        head, state, tails, encode = days[business_date]
    except KeyError:
        head, state, tails, encode = open_day(business_date)
    if not 0 <= number < {size}:
        raise overflow(number)
    {prepare}
    return f"{{head}}{digits}{tail}"
"""


class Formatter(Protocol):
    """Writes a number with a business date."""

    def __call__(self, number: int, business_date: date | None = None) -> str: ...


def compiled(
    number: Number,
    check: CheckSystem | None,
    days: Mapping[date | None, Day],
    open_day: Callable[[date | None], Day],
) -> Formatter:
    """The function for a number, and the check over it.

    Args:
        number: how it is written.
        check: over it, if any.
        days: of business dates that are known.
        open_day: answers the day of one that is not.
    """
    names: dict[str, Any] = {
        "days": days,
        "open_day": open_day,
        "overflow": lambda refused: _overflow(refused, number),
    }
    prepare = ["number = encode(number)"] if number.is_hidden else []
    if number.width:
        digits, state = _digits(number, names), _state(number, check, names)
    else:
        names |= {"written": written, "after": check.after if check else None}
        prepare += [f"text = written(number, {number.radix})"]
        digits, state = "{text}", "after(text, state)" if check else ""
    source = _SOURCE.format(
        size=number.size,
        prepare="; ".join(prepare) or "pass",
        digits=digits,
        tail=f"{{tails[{state or 0}]}}",
    )
    exec(compile(source, "<serial>", "exec"), names)  # noqa: S102 - see the module's docstring
    formatter: Formatter = names["format"]
    return formatter


def _digits(number: Number, names: dict[str, Any]) -> str:
    """The padded number as part of an f-string."""
    if number.radix in {10, 16}:
        return f"{{number:0{number.width}{'d' if number.radix == 10 else 'X'}}}"
    parts = []
    for size, digit in _split(number):
        names[f"text{size}"] = blocks(number.radix, size)
        parts.append(f"{{text{size}[{digit}]}}")
    return "".join(parts)


def _state(number: Number, check: CheckSystem | None, names: dict[str, Any]) -> str:
    """The expression for the check's state after the padded number; empty without a check."""
    if check is None:
        return ""
    state = "state"
    for size, digit in _split(number):
        names[f"step{size}"] = block_tables(check.name, number.radix, size)
        state = f"step{size}[{digit}][{state}]"
    return state


def _split(number: Number) -> list[tuple[int, str]]:
    """The number in blocks from left to right: digits of a block, and its expression."""
    size = _BLOCK[number.radix]
    first = number.width % size or size
    highest = (first, _above(number, number.width - first))
    lower = [
        (size, f"{_above(number, below)} % {number.radix**size}")
        for below in range(number.width - first - size, -1, -size)
    ]
    return [highest, *lower]


def _above(number: Number, digits: int) -> str:
    """The number without its lowest digits."""
    return f"number // {number.radix**digits}" if digits else "number"


def _overflow(refused: int, number: Number) -> SerialOverflow:
    return SerialOverflow(
        f"{refused} does not fit: numbers are 0 to {number.size - 1},"
        f" at most {number.longest} digits in radix {number.radix}"
    )
