"""Robots take tasks of their pool for a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from google.protobuf.message import Message

from centers.action.desk import Desk
from centers.action.domain import Lease, Task
from mesh.clock import Clock
from mesh.storage import Store

DEFAULT_COUNT: Final = 10
DEFAULT_TIME: Final = timedelta(minutes=1)

Answer = TypeVar("Answer", bound=Message)


class Leases:
    """Lends open tasks of a pool to the robots that work it, each to one at a time."""

    def __init__(self, store: Store, desk: Desk, clock: Clock) -> None:
        self._store = store
        self._desk = desk
        self._clock = clock

    async def take(
        self,
        owner_id: int,
        holder: str,
        *,
        count: int,
        time: timedelta,
        respond: Callable[[Sequence[Task]], Answer],
    ) -> Answer:
        """Lend up to `count` tasks that nobody holds, those due first at the head.

        A task whose lease ran out is lent to the next who asks. `respond` makes the
        call's answer, kept in the same transaction. 0 and no time mean the defaults.
        """
        now = self._clock.now()
        lease = Lease(holder=holder, expire_time=now + (time or DEFAULT_TIME))
        async with self._store.transaction() as tx:
            free = await self._desk.tasks.free(tx, owner_id, now, count or DEFAULT_COUNT)
            lent = [task.leased(lease, now) for task in free]
            for before, after in zip(free, lent, strict=True):
                await self._desk.change(tx, before, after)
            answer = respond(lent)
            tx.answer(answer)
        return answer
