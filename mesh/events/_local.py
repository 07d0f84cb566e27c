"""A bus within this process, for tests of what stands on it. It forgets when it ends."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from engine.mesh.v1.bus_pb2 import (
    AppendRequest,
    Buried,
    LoggedEvent,
    PollRequest,
    PollResponse,
    Settled,
)
from mesh.clock import Clock, SystemClock

LEASE_S: Final = 3.0
MAX_EVENTS: Final = 500


@dataclass(slots=True)
class _Group:
    """One group of consumers of one topic."""

    position: int = 0
    member: str = ""
    until: float = 0.0
    dead: dict[int, LoggedEvent] = field(default_factory=dict)
    replaying: dict[int, LoggedEvent] = field(default_factory=dict)


class _Log:
    """What all faces of one local bus share."""

    def __init__(self) -> None:
        self.topics: defaultdict[str, list[LoggedEvent]] = defaultdict(list)
        self.groups: defaultdict[tuple[str, str], _Group] = defaultdict(_Group)
        self.news = asyncio.Condition()
        self.last = 0


class LocalBus:
    """An `EventBus` in memory, as one service sees it.

    Args:
        service: who asks; owns the groups that are asked for.
        clock: measures the lease of a group's member.
    """

    def __init__(
        self, service: str = "local", *, clock: Clock | None = None, log: _Log | None = None
    ) -> None:
        self._service = service
        self._clock = clock or SystemClock()
        self._log = log or _Log()

    def of(self, service: str) -> LocalBus:
        """The same bus, as another service sees it."""
        return LocalBus(service, clock=self._clock, log=self._log)

    async def append(self, request: AppendRequest) -> None:
        async with self._log.news:
            for given in request.events:
                self._log.last += 1
                logged = LoggedEvent(position=self._log.last, event=given)
                logged.event.source = self._service
                logged.event.actor = given.actor or f"mesh:{self._service}"
                self._log.topics[given.topic].append(logged)
            self._log.news.notify_all()

    async def poll(self, request: PollRequest) -> PollResponse:
        group = self._log.groups[f"{self._service}.{request.group}", request.topic]
        if group.member != request.member and self._clock.monotonic() < group.until:
            return PollResponse(active=False)
        group.member = request.member
        if request.renewing:
            group.until = max(group.until, self._clock.monotonic() + LEASE_S)
            return PollResponse(active=True)
        self._settle(group, request.topic, request.settled)
        if request.leaving:
            group.until = 0.0
            return PollResponse(active=True)
        wait_s = request.wait.ToNanoseconds() / 1e9
        group.until = self._clock.monotonic() + wait_s + LEASE_S
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s), self._log.news:
                await self._log.news.wait_for(lambda: self._next(group, request))
        group.until = self._clock.monotonic() + LEASE_S
        return PollResponse(events=self._next(group, request), active=True)

    async def replay(self) -> None:
        """Hand out all dead letters of the service's groups once more."""
        async with self._log.news:
            for (name, _), group in self._log.groups.items():
                if name.startswith(f"{self._service}."):
                    group.replaying |= group.dead
            self._log.news.notify_all()

    def dead(self, group: str, topic: str) -> list[LoggedEvent]:
        """What a group of the service could not consume."""
        return [*self._log.groups[f"{self._service}.{group}", topic].dead.values()]

    def _next(self, group: _Group, request: PollRequest) -> list[LoggedEvent]:
        later = [e for e in self._log.topics[request.topic] if e.position > group.position]
        return [*group.replaying.values(), *later][: request.max_events or MAX_EVENTS]

    def _settle(self, group: _Group, topic: str, settled: Settled) -> None:
        group.position = max(group.position, settled.position)
        for number in settled.replayed:
            group.dead.pop(number, None)
            group.replaying.pop(number, None)
        for buried in settled.buried:
            self._bury(group, topic, buried)

    def _bury(self, group: _Group, topic: str, buried: Buried) -> None:
        number = buried.dead_letter_id or buried.position
        group.replaying.pop(number, None)
        for logged in self._log.topics[topic]:
            if logged.position == buried.position:
                group.dead[number] = LoggedEvent(
                    position=logged.position, event=logged.event, dead_letter_id=number
                )
