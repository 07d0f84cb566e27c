"""Values that the driver may write into a statement: it quotes by the exact type."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from mesh.storage._errors import StorageError

LARGEST: Final = 2**63 - 1
"""As in SQLite; the server would take a larger number and find nothing."""

_SAFE: Final = frozenset({bytes, bool, type(None), Decimal, date, datetime, timedelta})


def plain(values: Iterable[Any]) -> tuple[Any, ...]:
    """The values in types that the driver quotes rightly.

    Raises:
        StorageError: one has another type, or is not storable.
        UnicodeError: a string is not well-formed.
    """
    return tuple(map(_plain, values))


def number(text: str | bytes) -> int | float:
    """A decimal that the server answers, as `SUM` does even for whole numbers."""
    whole = int if (b"." if isinstance(text, bytes) else ".") not in text else float  # type: ignore[operator]
    return whole(text)


def _plain(value: Any) -> Any:
    kind = type(value)
    if kind is int:
        if -LARGEST - 1 <= value <= LARGEST:
            return value
        raise StorageError("a whole number does not fit into 64 bits")
    if kind is str:
        if not value.isascii():
            value.encode()
        return value
    if kind in _SAFE:
        return value
    return _of_subclass(value)


def _of_subclass(value: Any) -> Any:
    if isinstance(value, int):
        return _plain(int(value))
    if isinstance(value, str):
        return _plain(str.__str__(value))
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        raise StorageError("a number that is not finite cannot be stored")
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value)
    raise StorageError(f"a value of the type {type(value).__name__} cannot be stored")
