"""Ids that were taken beforehand; what one piece of work leaves, the next one uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

MAX_KEPT: Final = 10_000
"""Ids kept for later; more are dropped, since gaps harm nobody."""


class Ids(Protocol):
    """Where ids come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""

    async def take(self, count: int) -> Sequence[int]:
        """So many ids; all of them or none."""


class Reserve:
    """Hands out ids before a transaction that may need fewer of them."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._kept: list[int] = []

    async def take(self, count: int) -> list[int]:
        """So many ids, the least last.

        Raises:
            MeshError: IDS_UNAVAILABLE.
        """
        taken = [self._kept.pop() for _ in range(min(count, len(self._kept)))]
        if len(taken) < count:
            try:
                taken += await self._ids.take(count - len(taken))
            except BaseException:
                self.give_back(taken)
                raise
        return sorted(taken, reverse=True)

    def give_back(self, unused: Sequence[int]) -> None:
        """Keep ids that nothing was named by."""
        self._kept += unused
        self._kept.sort(reverse=True)
        del self._kept[MAX_KEPT:]
