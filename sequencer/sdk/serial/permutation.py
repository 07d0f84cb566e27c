"""Numbers that do not tell how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Self

ROUNDS = 10
MIN_KEY_BYTES = 16
MAX_BITS = 63
MIN_SIZE = 4
MAX_TWEAK_BYTES = blake2b.SALT_SIZE


class KeyedPermutation:
    """A one-to-one mapping of 0 … size - 1 onto itself that only a key holder can follow.

    `encode` turns consecutive ids into numbers without visible order, `decode`
    turns them back. The same key and size give the same mapping for ever: keep
    the key as long as the ids. The size is 2**bits here, any number by `of_size`.

    How: a balanced Feistel network of 10 rounds with keyed BLAKE2b as the round
    function (Luby and Rackoff 1988; Patarin 2004 for more than 4 rounds) over the
    next even number of bits, walked until the result is below the size, at most
    four times on average (Black and Rogaway 2002).

    What it is worth: without the key, whoever sees some outputs learns neither
    volume nor order nor the next output, up to about the square root of the size
    in outputs; beyond that, and below 40 bits altogether, a determined observer
    can tell it from chance. With fewer than a million numbers (the floor of NIST
    SP 800-38G) it hides them from a glance only. It is no access control (any
    number decodes to some id), it hides nothing else, and equal ids give equal
    outputs.

    Args:
        key: 16 to 64 secret random bytes.
        bits: size of the id space, 2 to 63.

    Raises:
        ValueError: the key is too short or long, or bits are out of bounds.
    """

    def __init__(self, key: bytes, *, bits: int = 62) -> None:
        if not 2 <= bits <= MAX_BITS:
            raise ValueError(f"bits must be between 2 and {MAX_BITS}")
        self._prepare(key, 1 << bits, b"")

    @classmethod
    def of_size(cls, key: bytes, size: int, *, tweak: bytes = b"") -> Self:
        """The permutation of 0 … size - 1; for a size of 2**bits that of `bits`.

        Args:
            key: as above.
            size: how many numbers there are, 4 to 2**63.
            tweak: up to 16 bytes, not secret: each gives a mapping of its own
                under the same key, such as one for each day.

        Raises:
            ValueError: the key, the size or the tweak is out of bounds.
        """
        if not MIN_SIZE <= size <= 1 << MAX_BITS:
            raise ValueError(f"size must be between {MIN_SIZE} and 2**{MAX_BITS}")
        if len(tweak) > MAX_TWEAK_BYTES:
            raise ValueError(f"tweak must have at most {MAX_TWEAK_BYTES} bytes")
        permutation = cls.__new__(cls)
        permutation._prepare(key, size, tweak)  # noqa: SLF001 - of this class
        return permutation

    def encode(self, number: int) -> int:
        """The number that stands for `number`.

        Raises:
            ValueError: it is not between 0 and size - 1.
        """
        self._check(number)
        number = self._walk(number, self._rounds)
        while number >= self._size:
            number = self._walk(number, self._rounds)
        return number

    def decode(self, number: int) -> int:
        """The number that `encode` turned into `number`.

        Raises:
            ValueError: it is not between 0 and size - 1.
        """
        self._check(number)
        number = self._unwalk(number)
        while number >= self._size:
            number = self._unwalk(number)
        return number

    def _prepare(self, key: bytes, size: int, tweak: bytes) -> None:
        if not MIN_KEY_BYTES <= len(key) <= blake2b.MAX_KEY_SIZE:
            raise ValueError(f"key must have {MIN_KEY_BYTES} to {blake2b.MAX_KEY_SIZE} bytes")
        self._size = size
        self._half = ((size - 1).bit_length() + 1) // 2
        self._mask = (1 << self._half) - 1
        self._rounds = tuple(
            blake2b(key=key, digest_size=8, salt=tweak, person=_person(size, number))
            for number in range(ROUNDS)
        )
        self._reversed = self._rounds[::-1]

    def _check(self, number: int) -> None:
        if not 0 <= number < self._size:
            raise ValueError(f"{number} is not between 0 and {self._size - 1}")

    def _walk(self, number: int, rounds: Sequence[blake2b]) -> int:
        half, mask = self._half, self._mask
        left, right = number >> half, number & mask
        for keyed in rounds:
            state = keyed.copy()
            state.update(right.to_bytes(4, "little"))
            left, right = right, left ^ (int.from_bytes(state.digest(), "little") & mask)
        return left << half | right

    def _unwalk(self, number: int) -> int:
        """Undo `_walk`: the same rounds backwards, with the halves exchanged."""
        swapped = self._walk(self._swap(number), self._reversed)
        return self._swap(swapped)

    def _swap(self, number: int) -> int:
        return (number & self._mask) << self._half | number >> self._half


def _person(size: int, number: int) -> bytes:
    """What tells the round functions of one size apart from those of all others."""
    bits = size.bit_length() - 1
    if size == 1 << bits:
        return f"id{bits:02}round{number:02}".encode()
    return b"size" + size.to_bytes(8, "big") + bytes([number])
