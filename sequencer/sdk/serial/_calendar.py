"""Business dates: their parts in a serial, and the periods that numbers begin anew with."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Final

from sequencer.sdk.serial._errors import SerialDateError


class Reset(Enum):
    """When the numbers of a serial begin anew; the value is the length of a period's name."""

    NONE = 0
    YEAR = 4
    MONTH = 6
    DAY = 8


PART_WIDTHS: Final = {"Y": 4, "y": 2, "m": 2, "d": 2, "j": 3}
"""Year, year of the century, month, day, day of the year: as in `strftime`."""

_CENTURY: Final = 2000
_LEAP_YEAR: Final = 2000


def period(reset: Reset, business_date: date) -> str:
    """What the child sequence of a business date is called behind its parent's name and "@".

    "20261126", "202611", "2026", or "" when numbers never begin anew.
    """
    return _digits(business_date.year, business_date.month, business_date.day)[: reset.value]


def tells_period(parts: frozenset[str], reset: Reset) -> bool:
    """Whether the parts of a date in a serial tell its period, so that it stays unique."""
    has_year = bool(parts & {"Y", "y"})
    has_day = "j" in parts or {"m", "d"} <= parts
    has_month = "j" in parts or "m" in parts
    told = {
        Reset.NONE: True,
        Reset.YEAR: has_year,
        Reset.MONTH: has_year and has_month,
        Reset.DAY: has_year and has_day,
    }
    return told[reset]


def checked(business_date: date, parts: frozenset[str]) -> date:
    """The date, when it can be written in these parts.

    Raises:
        SerialDateError: it is no date, has a time, or is outside the century of "%y".
    """
    if not isinstance(business_date, date) or isinstance(business_date, datetime):
        raise SerialDateError(f"a business date is a date without a time, not {business_date!r}")
    if "y" in parts and not _CENTURY <= business_date.year < _CENTURY + 100:
        raise SerialDateError(f"%y stands for 2000 to 2099; {business_date.year} needs %Y")
    return business_date


def part(business_date: date, code: str) -> str:
    """One part of a date, padded."""
    values = {
        "Y": business_date.year,
        "y": business_date.year % 100,
        "m": business_date.month,
        "d": business_date.day,
        "j": business_date.timetuple().tm_yday,
    }
    return f"{values[code]:0{PART_WIDTHS[code]}}"


def date_of(parts: Mapping[str, int]) -> date | None:
    """The date that parts tell; None when they leave the day open.

    Raises:
        ValueError: there is no such date, or the parts disagree.
    """
    year = _year(parts)
    month, day = parts.get("m", 1), parts.get("d", 1)
    if year is None or not tells_period(frozenset(parts), Reset.DAY):
        date(_LEAP_YEAR if year is None else year, month, day)
        _day_of_year(_LEAP_YEAR, parts.get("j", 1))
        return None
    found = _day_of_year(year, parts["j"]) if "j" in parts else date(year, month, day)
    if any(int(part(found, code)) != number for code, number in parts.items()):
        raise ValueError("its parts disagree")
    return found


def period_of(parts: Mapping[str, int], found: date | None, reset: Reset) -> str:
    """The period that parts tell which `tells_period`; `found` is their `date_of`."""
    if found is not None:
        return period(reset, found)
    return _digits(_year(parts) or 0, parts.get("m", 0), 0)[: reset.value]


def _year(parts: Mapping[str, int]) -> int | None:
    years = {parts[code] + base for code, base in (("Y", 0), ("y", _CENTURY)) if code in parts}
    if len(years) > 1:
        raise ValueError("its years disagree")
    return years.pop() if years else None


def _day_of_year(year: int, day: int) -> date:
    found = date(year, 1, 1) + timedelta(days=day - 1)
    if found.year != year:
        raise ValueError(f"{year} has no day {day}")
    return found


def _digits(year: int, month: int, day: int) -> str:
    return f"{year:04}{month:02}{day:02}"
