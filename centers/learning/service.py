"""Use cases of the learning centre: issue, revoke, list, and say who is qualified."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol, TypeVar

from google.protobuf.message import Message

from centers.learning.domain import Grant, Qualification, begin, issued
from centers.learning.errors import LearningReason
from mesh.clock import Clock
from mesh.errors import MeshError, Violation

MAX_LISTED: Final = 200

Answer = TypeVar("Answer", bound=Message)

Respond = Callable[[Qualification, datetime], Answer]
"""Makes the call's answer from a qualification as it stands at a moment."""

Make = Callable[[datetime | None], Qualification]
"""Makes a new term, given when those of the same holder and code last changed."""


class Qualifications(Protocol):
    """Where qualifications are held. Each change is told to all others.

    `respond` makes the call's answer, which is kept with the change.
    """

    async def issue(self, staff_id: int, code: str, make: Make, respond: Respond[Answer]) -> Answer:
        """Store a new term, in the place of one that is valid when it begins."""

    async def revoke(
        self, staff_id: int, code: str, now: datetime, reason: str, respond: Respond[Answer]
    ) -> Answer:
        """Take the valid term away.

        Raises:
            MeshError: NOT_QUALIFIED.
        """

    async def newest(self, staff_id: int, limit: int) -> Sequence[Qualification]:
        """All terms of a member of staff, newest first."""

    async def held(self, staff_id: int, code: str, now: datetime) -> Qualification | None:
        """The term that is valid at a moment."""


class Ids(Protocol):
    """Where ids of new qualifications come from."""

    async def next(self) -> int:
        """An id that nobody else gets."""


class Learning:
    """Keeps who is qualified for what. A term ends by the clock alone; nothing runs for it."""

    def __init__(self, store: Qualifications, ids: Ids, clock: Clock) -> None:
        self._store = store
        self._ids = ids
        self._clock = clock

    async def issue(self, grant: Grant, respond: Respond[Answer]) -> Answer:
        """Issue a qualification from now on; a term that is valid becomes history.

        Raises:
            MeshError: TERM_OVER.
        """
        qualification_id = await self._ids.next()
        now = self._clock.now()

        def make(last_change: datetime | None) -> Qualification:
            issue_time = begin(now, last_change)
            if grant.expire_time <= issue_time:
                violation = Violation("expire_time", "must lie in the future")
                raise MeshError(LearningReason.TERM_OVER, violations=[violation])
            return issued(grant, qualification_id, issue_time)

        return await self._store.issue(grant.staff_id, grant.code, make, respond)

    async def revoke(
        self, staff_id: int, code: str, reason: str, respond: Respond[Answer]
    ) -> Answer:
        """Take a qualification away from now on.

        Raises:
            MeshError: NOT_QUALIFIED.
        """
        return await self._store.revoke(staff_id, code, self._clock.now(), reason, respond)

    async def qualifications(self, staff_id: int) -> tuple[Sequence[Qualification], datetime]:
        """All terms of a member of staff, newest first, and the moment to show them at."""
        return await self._store.newest(staff_id, MAX_LISTED), self._clock.now()

    async def held(self, staff_id: int, code: str) -> Qualification | None:
        """The term that is valid at this moment."""
        return await self._store.held(staff_id, code, self._clock.now())
