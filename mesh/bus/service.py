"""Use cases of the bus: take events in, hand them out, show them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final, Protocol

from mesh.bus.domain import (
    DEFAULT_EVENTS,
    MAX_BYTES,
    Ask,
    GroupKey,
    GroupState,
    Leases,
    Logged,
    Settlement,
)
from mesh.bus.errors import BusReason
from mesh.bus.news import News, heard_within
from mesh.clock import Clock
from mesh.errors import MeshError

NEWEST: Final = -1
"""Stands for the place before the newest page."""


class EventStore(Protocol):
    """Where the log is held."""

    async def append(self, events: Sequence[tuple[str, bytes]], now: datetime) -> int:
        """Store topics and events in their order, all or none; the place of the last one."""

    async def after(self, topic: str, position: int, most: int) -> Sequence[Logged]:
        """Events behind a place, of one topic or all, as many as one answer holds."""

    async def newest(self, topic: str, most: int) -> Sequence[Logged]:
        """The newest events in their order, of one topic or all."""


class GroupStore(Protocol):
    """Where it is held how far each group is."""

    async def position(self, key: GroupKey) -> int | None:
        """Up to where the group is done; None when it is not known yet."""

    async def settle(self, key: GroupKey, settlement: Settlement, now: datetime) -> None:
        """Let all of the settlement take effect, and know the group from now on."""

    async def all(self) -> Sequence[GroupState]:
        """Every group, by name and topic."""


class ReplayStore(Protocol):
    """Where dead letters wait to be handed out once more."""

    async def replaying(self, key: GroupKey, most: int) -> Sequence[Logged]:
        """Dead letters of the group that wait, oldest first, as many as one answer holds."""


class Bus:
    """A durable log, read by groups of which one member at a time is served.

    Args:
        events: the log.
        groups: how far each group is.
        dead: what is to be handed out once more.
        news: wakes who waits.
        clock: dates events and measures leases.
        lease_s: how long a group waits for its member after it was last heard of.
        services: names of all services; a topic of such a name is that service's own.
    """

    def __init__(
        self,
        events: EventStore,
        groups: GroupStore,
        dead: ReplayStore,
        news: News,
        clock: Clock,
        *,
        lease_s: float,
        services: Collection[str] = (),
    ) -> None:
        self._events = events
        self._groups = groups
        self._dead = dead
        self._news = news
        self._clock = clock
        self._lease_s = lease_s
        self._services = services
        self._leases = Leases()

    async def append(self, source: str, events: Collection[tuple[str, bytes]]) -> int:
        """Store topics and events that a service tells; the place of the last one.

        Raises:
            MeshError: BATCH_TOO_LARGE, or TOPIC_OF_ANOTHER: consumers take what a topic
                named after a service says for what that service says.
        """
        if any(topic != source and topic in self._services for topic, _ in events):
            raise MeshError(BusReason.TOPIC_OF_ANOTHER)
        if sum(len(event) for _, event in events) > MAX_BYTES:
            raise MeshError(BusReason.BATCH_TOO_LARGE)
        position = await self._events.append([*events], self._clock.now())
        self._news.tell(topic for topic, _ in events)
        return position

    async def poll(self, ask: Ask) -> Sequence[Logged] | None:
        """The next events for a member; None while another one is served.

        A member whose call fails or is given up is served no more: it may be dead.
        """
        now = self._clock.monotonic()
        if ask.renewing:
            renewed = self._leases.renew(ask.key, ask.member, now, for_s=self._lease_s)
            return () if renewed else None
        lease = self._leases.take(ask.key, ask.member, now, for_s=ask.wait_s + self._lease_s)
        if lease is None:
            return None
        try:
            await self._settle(ask)
            found = () if ask.leaving else await self._next(ask)
        except BaseException:
            self._leases.release(ask.key, lease)
            raise
        if ask.leaving:
            self._leases.release(ask.key, lease)
        else:
            now = self._clock.monotonic()
            self._leases.shorten(ask.key, lease, now, for_s=self._lease_s)
        return found

    async def events(self, topic: str, after: int, most: int, wait_s: float) -> Sequence[Logged]:
        """Events behind a place, or the newest, waiting for the first of them."""
        with self._news.of(topic) as heard:
            while True:
                heard.clear()
                if after == NEWEST:
                    found = await self._events.newest(topic, most)
                else:
                    found = await self._events.after(topic, after, most)
                if found or not wait_s or not await heard_within(heard, wait_s):
                    return found
                wait_s = 0.0

    async def groups(self) -> Sequence[GroupState]:
        """Every group with how far it is."""
        return await self._groups.all()

    async def _settle(self, ask: Ask) -> None:
        known = await self._groups.position(ask.key)
        if known is None or ask.settlement:
            await self._groups.settle(ask.key, ask.settlement, self._clock.now())

    async def _next(self, ask: Ask) -> Sequence[Logged]:
        with self._news.of(ask.key.topic) as heard:
            found = await self._waiting(ask)
            if not found and ask.wait_s and await heard_within(heard, ask.wait_s):
                found = await self._waiting(ask)
        return found

    async def _waiting(self, ask: Ask) -> Sequence[Logged]:
        """What the group has not had: dead letters to be tried once more, then what is new."""
        most = ask.most or DEFAULT_EVENTS
        again = await self._dead.replaying(ask.key, most)
        if again:
            return again
        position = await self._groups.position(ask.key)
        return await self._events.after(ask.key.topic, position or 0, most)
