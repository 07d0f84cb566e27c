"""Consumes one batch: reactions together, effects together, in order for each key.

The batch is cut into waves with no two events of one key in a wave. What fails
leaves its wave and is tried again by itself, with the later events of its key
behind it, while the others go on.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from engine.mesh.v1.bus_pb2 import Buried, LoggedEvent, Settled
from mesh.clock import Clock
from mesh.events._failure import Backoff, is_passing, kind
from mesh.events._subscription import Subscription
from mesh.events._work import Work
from mesh.log import get_logger
from mesh.storage import Inbox, IntegrityViolation, Store
from mesh.telemetry import Telemetry

RETRIES: Final = 5
"""How often an event is tried again before it is given up; what passes by itself is not counted."""

BETWEEN_TURNS: Final = 50
"""Reactions or effects that may run between two turns of the event loop."""

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a consumer's batches are made with."""

    store: Store
    inbox: Inbox
    subscription: Subscription
    clock: Clock
    telemetry: Telemetry


@dataclass(slots=True)
class _Failure:
    """An event that failed, with how often and by what."""

    work: Work
    error: Exception
    attempts: int = 1
    counted: int = field(default=0)


class Batch:
    """One batch of events on its way through a consumer."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._meters = parts.telemetry.meters
        self._slots = asyncio.Semaphore(parts.subscription.concurrency)
        self._held: dict[str, deque[Work]] = {}
        self._buried: dict[tuple[int, int], Buried] = {}

    async def consume(self, events: Sequence[LoggedEvent]) -> Settled:
        """Consume the events; what became of them.

        Raises:
            StorageError: the store cannot tell which of them it has had.
        """
        fresh = await self._fresh(events)
        async with asyncio.TaskGroup() as group:
            for wave in _waves(fresh):
                await self._apply(group, self._not_held(wave))
        return self._settled(events)

    async def _fresh(self, events: Sequence[LoggedEvent]) -> list[Work]:
        """What the store has not had, without what is there twice."""
        by_id = {logged.event.event_id: logged for logged in reversed(events)}
        seen = await self._parts.inbox.seen(by_id)
        self._meters.counter("events.repeated").add(len(events) - len(by_id) + len(seen))
        return [
            Work(logged)
            for logged in events
            if logged.event.event_id not in seen and by_id[logged.event.event_id] is logged
        ]

    def _not_held(self, wave: Iterable[Work]) -> Iterator[Work]:
        """The events of a wave but those whose key waits for an earlier one."""
        for work in wave:
            if work.key in self._held:
                self._held[work.key].append(work)
            else:
                yield work

    async def _apply(self, group: asyncio.TaskGroup, wave: Iterable[Work]) -> None:
        works = list(wave)
        failures = await self._react(works)
        failed = {failure.work for failure in failures}
        decided = [work for work in works if work not in failed]
        size = self._parts.subscription.transaction
        for start in range(0, len(decided), size):
            failures += await self._commit(decided[start : start + size])
        for failure in failures:
            self._held[failure.work.key] = deque()
            group.create_task(self._by_itself(failure))

    async def _react(self, wave: Sequence[Work]) -> list[_Failure]:
        """Let the subscription decide about each event, several at once; what failed."""
        failures: list[_Failure] = []
        feed = iter(wave)

        async def worker() -> None:
            for count, work in enumerate(feed):
                if count % BETWEEN_TURNS == BETWEEN_TURNS - 1:
                    await asyncio.sleep(0)
                try:
                    await self._decide(work)
                except Exception as error:  # noqa: BLE001 - the outermost frame of a reaction
                    failures.append(_Failure(work, error))

        async with asyncio.TaskGroup() as group:
            for _ in range(min(len(wave), self._parts.subscription.concurrency)):
                group.create_task(worker())
        return failures

    async def _decide(self, work: Work) -> None:
        try:
            with work.begin(), work.span(self._parts.telemetry.tracer, "consume"):
                work.effect = await self._parts.subscription.react(work.event)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not this consumer was cancelled, but a call that the reaction made.
            raise TimeoutError("a call of the reaction was cancelled") from error

    async def _commit(self, works: Sequence[Work]) -> list[_Failure]:
        """Apply the effects in one transaction, or each in its own to find what fails."""
        backoff = Backoff()
        while True:
            try:
                await self._transact(works)
            except Exception as error:  # noqa: BLE001 - the outermost frame of an effect
                if not is_passing(error):
                    break
                await self._parts.clock.sleep(backoff.next_s())
            else:
                return []
        return [failure for work in works for failure in await self._commit_alone(work)]

    async def _commit_alone(self, work: Work) -> list[_Failure]:
        try:
            await self._transact([work])
        except Exception as error:  # noqa: BLE001 - the outermost frame of an effect
            return [] if await self._was_had(work, error) else [_Failure(work, error)]
        return []

    async def _transact(self, works: Sequence[Work]) -> None:
        async with self._parts.store.transaction() as tx:
            await self._parts.inbox.record(tx, [work.event.event_id for work in works])
            for count, work in enumerate(works):
                if work.effect is None:
                    continue
                if count % BETWEEN_TURNS == BETWEEN_TURNS - 1:
                    await asyncio.sleep(0)
                with work.resume(), work.span(self._parts.telemetry.tracer, "apply"):
                    await work.effect(tx)
        self._meters.counter("events.consumed").add(len(works))

    async def _was_had(self, work: Work, error: Exception) -> bool:
        """Whether it failed because another member of the group was faster."""
        if not isinstance(error, IntegrityViolation):
            return False
        return bool(await self._parts.inbox.seen([work.event.event_id]))

    async def _by_itself(self, failure: _Failure) -> None:
        """Try an event again until it is done with, then those of its key that came after it."""
        later = self._held[failure.work.key]
        await self._insist(failure)
        while later:
            following = await self._attempt(later.popleft())
            if following is not None:
                await self._insist(following)
        del self._held[failure.work.key]

    async def _insist(self, failure: _Failure) -> None:
        passing, counted = Backoff(), Backoff(last_s=60.0)
        while True:
            if is_passing(failure.error):
                wait_s = passing.next_s()
            elif failure.counted < RETRIES:
                failure.counted += 1
                wait_s = counted.next_s()
            else:
                self._bury(failure)
                return
            await self._parts.clock.sleep(wait_s)
            again = await self._attempt(failure.work)
            if again is None:
                return
            failure.error = again.error
            failure.attempts += 1

    async def _attempt(self, work: Work) -> _Failure | None:
        try:
            async with self._slots:
                await self._decide(work)
            failures = await self._commit_alone(work)
        except Exception as error:  # noqa: BLE001 - the outermost frame of a reaction
            return _Failure(work, error)
        return failures[0] if failures else None

    def _bury(self, failure: _Failure) -> None:
        logged, error = failure.work.logged, kind(failure.error)
        self._buried[logged.position, logged.dead_letter_id] = Buried(
            position=logged.position,
            dead_letter_id=logged.dead_letter_id,
            attempts=failure.attempts,
            error=error,
        )
        self._meters.counter("events.buried").add()
        _log.error(
            "event_buried",
            group=self._parts.subscription.group,
            type=failure.work.event.type,
            event_id=failure.work.event.event_id,
            error=error,
        )

    def _settled(self, events: Sequence[LoggedEvent]) -> Settled:
        return Settled(
            position=max((e.position for e in events if not e.dead_letter_id), default=0),
            buried=self._buried.values(),
            replayed=[
                e.dead_letter_id
                for e in events
                if e.dead_letter_id and (e.position, e.dead_letter_id) not in self._buried
            ],
        )


def _waves(works: Iterable[Work]) -> Iterator[list[Work]]:
    """The events with, in each wave, at most one of each key; waves keep a key's order."""
    turn: Counter[str] = Counter()
    waves: defaultdict[int, list[Work]] = defaultdict(list)
    for work in works:
        waves[turn[work.key]].append(work)
        turn[work.key] += 1
    yield from waves.values()
