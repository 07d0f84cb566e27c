"""Types of values, and the bounds of what is counted.

| type | Python | meaning |
|---|---|---|
| INT | `int` | 64 bits: fen, basis points, counts, ids |
| STRING | `str` | compared by code point |
| BOOL | `bool` | |
| TIMESTAMP | `int` | microseconds since 1970 UTC, in the years 1 to 9999 |
| DURATION | `int` | microseconds, at most 10,000 years either way |
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple

Value = int | str | bool
Row = Mapping[str, object]
"""Values by field; what is absent or None is missing."""


class FieldType(Enum):
    """What a field or an expression has for a value."""

    INT = "int"
    STRING = "string"
    BOOL = "bool"
    TIMESTAMP = "timestamp"
    DURATION = "duration"


INT: Final = FieldType.INT
STRING: Final = FieldType.STRING
BOOL: Final = FieldType.BOOL
TIMESTAMP: Final = FieldType.TIMESTAMP
DURATION: Final = FieldType.DURATION

ORDERED: Final = frozenset({INT, STRING, TIMESTAMP, DURATION})
"""Types that have a less and a greater."""


class Bounds(NamedTuple):
    """The least and the greatest value of a type; more or less is an overflow."""

    least: int
    greatest: int


_YEARS_10000_US: Final = 315_576_000_000 * 1_000_000

BOUNDS: Final[Mapping[FieldType, Bounds]] = {
    INT: Bounds(-(2**63), 2**63 - 1),
    TIMESTAMP: Bounds(-62_135_596_800_000_000, 253_402_300_799_999_999),
    DURATION: Bounds(-_YEARS_10000_US, _YEARS_10000_US),
}
"""Of the types whose values are counted."""

PYTHON_TYPES: Final[Mapping[FieldType, type]] = {
    INT: int,
    STRING: str,
    BOOL: bool,
    TIMESTAMP: int,
    DURATION: int,
}


def is_value(value: object, type_: FieldType) -> bool:
    """Whether a value is one of this type: of its very Python type, and within its bounds."""
    if type(value) is not PYTHON_TYPES[type_]:
        return False
    bounds = BOUNDS.get(type_)
    return bounds is None or (isinstance(value, int) and bounds.least <= value <= bounds.greatest)
