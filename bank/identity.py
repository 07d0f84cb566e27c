"""Customer, telephone and identity numbers: valid in form, unique by construction.

Each number comes from a keyed bijection on the customer's id. Canaries have number
ranges of their own, so no ordinary customer shares one of theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from bank.bijection import Bijection
from bank.stream import Integers, Streams
from bank.text import Characters, digits, strings

CIF_DIGITS = 12
_CIF_ORDINARY = 6 * 10**11
_CIF_CANARY = 9 * 10**11

_PHONE_ORDINARY = 13 * 10**9
_PHONE_CANARY = 19 * 10**9
"""Ordinary numbers begin with 13 to 18, those of canaries with 19."""

_SEQUENCES = 10**3
_AREA_CANARY = 90_000
"""No area code begins with 0, so no person has such a number: ordinary customers
use 000000 to 089999, canaries 090000 to 099999."""

_CHECK_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = np.frombuffer(b"10X98765432", dtype=np.uint8)

Flags = npt.NDArray[np.bool_]
Dates = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class _Range:
    """Where the numbers of one kind begin, and what permutes them."""

    start: int
    bijection: Bijection

    def numbers(self, ids: Integers) -> Integers:
        return self.start + self.bijection.apply(ids)


class Numbers:
    """Makes the number columns of one bank.

    `canary` tells each customer's canary number, 0 for those who are none.
    """

    def __init__(self, streams: Streams) -> None:
        def block(name: str, start: int, left: int, right: int) -> _Range:
            return _Range(start, Bijection(streams, name, left=left, right=right))

        self._cif = (
            block("cif", _CIF_ORDINARY, 10**5, 10**6),
            block("cif.canary", _CIF_CANARY, 10**5, 10**6),
        )
        self._phone = (
            block("phone", _PHONE_ORDINARY, 60_000, 100_000),
            block("phone.canary", _PHONE_CANARY, 10_000, 100_000),
        )
        self._id_card = (
            block("id_card", 0, 9_000, 10_000),
            block("id_card.canary", _AREA_CANARY * _SEQUENCES, 2_500, 4_000),
        )

    def cif(self, ids: Integers, canary: Integers) -> pa.StringArray:
        """Core-bank customer numbers, twelve digits."""
        return strings(digits(_number(self._cif, ids, canary), CIF_DIGITS))

    def phone(self, ids: Integers, canary: Integers) -> pa.StringArray:
        """Mobile numbers, eleven digits beginning with 13 to 19."""
        return strings(digits(_number(self._phone, ids, canary), 11))

    def id_card(self, ids: Integers, canary: Integers, birth: Dates) -> pa.StringArray:
        """Identity numbers (GB 11643) of people born on `birth`, with check character."""
        area, sequence = np.divmod(_number(self._id_card, ids, canary), _SEQUENCES)
        body = digits(area * 10**11 + _compact_dates(birth) * _SEQUENCES + sequence, 17)
        return strings(np.column_stack([body, _check_characters(body)]))


def _number(ranges: tuple[_Range, _Range], ids: Integers, canary: Integers) -> Integers:
    ordinary, reserved = ranges
    numbers = ordinary.numbers(ids)
    chosen = canary > 0
    numbers[chosen] = reserved.numbers(canary[chosen])
    return numbers


def _compact_dates(dates: Dates) -> Integers:
    """Dates as numbers: 1 May 1990 is 19900501."""
    months = dates.astype("datetime64[M]")
    year, month = np.divmod(months.astype(np.int64), 12)
    day = (dates - months.astype("datetime64[D]")).astype(np.int64)
    number: Integers = (year + 1970) * 10_000 + (month + 1) * 100 + day + 1
    return number


def _check_characters(body: Characters) -> Characters:
    total = (body - ord("0")).astype(np.int32) @ np.array(_CHECK_WEIGHTS, dtype=np.int32)
    return _CHECK_CHARACTERS[total % 11]
