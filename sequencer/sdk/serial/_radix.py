"""Numbers in radix 10, 16, 36 and 62."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Final

DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
RADICES: Final = (10, 16, 36, 62)
MAX_NUMBER: Final = 2**63 - 1


def written(number: int, radix: int) -> str:
    """The digits of a number from 0 on, without leading zeros."""
    digits = DIGITS[number % radix]
    while number := number // radix:
        digits += DIGITS[number % radix]
    return digits[::-1]


def first_stranger(text: str, radix: int) -> int | None:
    """Where the first character stands that is no digit; None when all are."""
    rest = text.lstrip(DIGITS[:radix])
    return len(text) - len(rest) if rest else None


def value(text: str, radix: int) -> int:
    """The number that digits stand for."""
    if radix <= 36:
        return int(text, radix)
    number = 0
    for digit in text:
        number = number * radix + DIGITS.index(digit)
    return number


@cache
def blocks(radix: int, size: int) -> tuple[str, ...]:
    """All texts of `size` digits, in the order of their numbers."""
    return tuple(map("".join, product(DIGITS[:radix], repeat=size)))
