"""How constants are written: texts, times and durations."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from mesh.expression._types import BOUNDS, DURATION, INT, TIMESTAMP, FieldType, Value

_ESCAPES: Final[Mapping[str, str]] = {
    "\\": "\\",
    "'": "'",
    '"': '"',
    "n": "\n",
    "r": "\r",
    "t": "\t",
}
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)
_SURROGATES = range(0xD800, 0xE000)
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff'\\\\]")
"""What a text is not printed with as it is: the quote, and what cannot be seen or reorders."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_DAY_MINUTES: Final = 24 * 60
_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]{1,6}))?"
    r"(?:Z|([+-])([0-9]{2}):([0-9]{2}))"
)

_UNITS_US: Final[Mapping[str, int]] = {
    "h": 3_600_000_000,
    "m": 60_000_000,
    "s": 1_000_000,
    "ms": 1_000,
    "us": 1,
}
_PART = re.compile(r"([0-9]{1,18})(ms|us|h|m|s)")
_DURATION = re.compile(rf"-?(?:{_PART.pattern})+")


def read_string(quoted: str) -> str | None:
    """The text between quotes; None when an escape in it is none of ours."""
    try:
        return _ESCAPE.sub(_character, quoted[1:-1])
    except ValueError:
        return None


def read_timestamp(text: str) -> int | None:
    """Microseconds since 1970 UTC of an RFC 3339 time; None when it is not one."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, hours, minutes = match.groups()[6:]
    try:
        local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    ahead = int(hours or 0) * 60 + int(minutes or 0)
    if ahead >= _DAY_MINUTES or int(minutes or 0) > 59:
        return None
    micros = (local - _EPOCH) // _MICROSECOND + int((fraction or "").ljust(6, "0"))
    offset = ahead * _UNITS_US["m"]
    return _bounded(micros + offset if sign == "-" else micros - offset, TIMESTAMP)


def read_duration(text: str) -> int | None:
    """Microseconds of a duration such as 1h30m; None when it is not one."""
    if not _DURATION.fullmatch(text):
        return None
    micros = sum(int(number) * _UNITS_US[unit] for number, unit in _PART.findall(text))
    return _bounded(-micros if text.startswith("-") else micros, DURATION)


def read_int(text: str, *, negative: bool) -> int | None:
    """A whole number of 64 bits; None when it is not one."""
    if not text.isdecimal():
        return None
    return _bounded(-int(text) if negative else int(text), INT)


def print_value(value: Value, type_: FieldType) -> str:
    """A value as an expression writes it."""
    if isinstance(value, str):
        return f"'{_UNSHOWN.sub(_escaped, value)}'"
    if isinstance(value, bool):
        return "true" if value else "false"
    if type_ is TIMESTAMP:
        return f"timestamp('{(_EPOCH + value * _MICROSECOND).isoformat().replace('+00:00', 'Z')}')"
    return f"duration('{_print_duration(value)}')" if type_ is DURATION else str(value)


def _print_duration(micros: int) -> str:
    text, rest = "", abs(micros)
    for unit, size in _UNITS_US.items():
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" if number else ""
    return ("-" if micros < 0 else "") + (text or "0s")


def _character(match: re.Match[str]) -> str:
    short, long, letter = match.groups()
    if letter is not None:
        if letter not in _ESCAPES:
            raise ValueError("no such escape")
        return _ESCAPES[letter]
    point = int(short or long, 16)
    if point in _SURROGATES:
        raise ValueError("half a character")
    return chr(point)  # ValueError beyond the last code point


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    for letter, meant in _ESCAPES.items():
        if meant == character:
            return f"\\{letter}"
    return f"\\u{ord(character):04x}"


def _bounded(value: int, type_: FieldType) -> int | None:
    bounds = BOUNDS[type_]
    return value if bounds.least <= value <= bounds.greatest else None
