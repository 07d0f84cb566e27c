"""Use cases of what groups could not consume: show it, and hand it out once more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Protocol

from mesh.bus.domain import DeadLetter, fitting
from mesh.bus.errors import BusReason
from mesh.bus.news import News
from mesh.errors import MeshError
from mesh.paging import Page, PageRequest


class DeadLetterStore(Protocol):
    """Where dead letters are held."""

    async def page(self, group: str, after: int, most: int) -> Sequence[DeadLetter]:
        """Dead letters of a group, or of all when it is empty, by number from `after` on."""

    async def replay(self, ids: Collection[int], group: str) -> Sequence[str]:
        """Mark the letters of these numbers, or all of the group; the topic of each."""


class DeadLetters:
    """Shows dead letters and has them tried once more."""

    def __init__(self, store: DeadLetterStore, news: News) -> None:
        self._store = store
        self._news = news

    async def page(self, group: str, request: PageRequest) -> Page[DeadLetter]:
        """A page of the dead letters of a group, or of all.

        Raises:
            MeshError: PAGE_TOKEN_INVALID.
        """
        after = request.after_numbers(1) or (0,)
        found = await self._store.page(group, after[0], request.limit)
        fit = fitting([len(letter.logged.event) for letter in found])
        if fit < len(found):  # the page ends where the answer would become too large
            request = replace(request, size=fit)
            found = found[: fit + 1]
        return request.page(found, lambda letter: (letter.logged.dead_letter_id,))

    async def replay(self, ids: Collection[int], group: str) -> int:
        """Have the letters of these numbers tried once more, or all of the group; how many.

        Raises:
            MeshError: DEAD_LETTER_NOT_FOUND, when there is none of the numbers.
        """
        topics = await self._store.replay(ids, group)
        if ids and not topics:
            raise MeshError(BusReason.DEAD_LETTER_NOT_FOUND)
        self._news.tell(topics)
        return len(topics)
