"""Many keys, asked for in parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

AT_ONCE: Final = 500
"""Keys or customers that one statement asks for."""

T = TypeVar("T")


def blocks(entries: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """The entries in parts that one statement can ask for."""
    for start in range(0, len(entries), size):
        yield entries[start : start + size]
