"""Logs whose entries are sealed: what is changed, taken out or put in shows at its place.

The seal of an entry is SHA-256 over the seal before it and the entry's content, in
which its position must stand. Entries cut off at the end do not show: keep the
newest seal elsewhere to notice that.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

GENESIS: Final = "0" * 64
"""What the first entry seals."""


class Sealed(Protocol):
    """An entry of a log."""

    @property
    def position(self) -> int:
        """Its place, from 1, without gaps."""

    @property
    def seal(self) -> str:
        """Its seal, in hexadecimal."""


_Entry = TypeVar("_Entry", bound=Sealed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The newest entry of a log; of an empty one, what its first entry follows."""

    position: int = 0
    seal: str = GENESIS

    def followed_by(self, content: bytes) -> Head:
        """The head after an entry of this content, which names the position of that entry."""
        digest = hashlib.sha256(self.seal.encode() + content).hexdigest()
        return Head(position=self.position + 1, seal=digest)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogCheck:
    """What a check of a log found.

    `entries` hold, the last of them with `seal`; the one at `broken_at` does not
    (None: all hold).
    """

    entries: int
    seal: str
    broken_at: int | None


async def check(
    blocks: AsyncIterator[Sequence[_Entry]], follows: Callable[[_Entry, Head], bool]
) -> LogCheck:
    """Go through a log from its start to the first break.

    Args:
        blocks: the whole log, oldest entry first.
        follows: whether an entry is, in every part, what can follow a head.
    """
    head = Head()
    async for block in blocks:
        for entry in block:
            if not follows(entry, head):
                return LogCheck(entries=head.position, seal=head.seal, broken_at=head.position + 1)
            head = Head(position=entry.position, seal=entry.seal)
    return LogCheck(entries=head.position, seal=head.seal, broken_at=None)
