"""Takes events into streams and hands them to groups, of which one member at a time is served."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from mesh.bus.domain import DEFAULT_EVENTS, MAX_BYTES, Ask, Logged, Settlement
from mesh.bus.errors import BusReason
from mesh.errors import MeshError, MeshReason
from mesh.log import get_logger
from mesh.redis import _bus_scripts as scripts
from mesh.redis._bus_keys import PREFIX, BusKeys, TopicKeys
from mesh.redis._bus_retention import Retention
from mesh.redis._client import RedisClient
from mesh.redis._errors import RedisUnavailable
from mesh.redis._node import Word

ANSWER_S: Final = 1.0
"""How much longer than it blocks a waiting command may take."""

RENEWALS: Final = 3
"""How often a member that waits renews its lease before that would end."""

_NOTHING: Final = Settlement()

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOptions:
    """How a bus on Redis behaves.

    Args:
        lease_s: how long a group waits for its member after it was last heard of.
        renew_s: how often a member that waits for events is heard of; a third of that by default.
        kept: how long events are kept after all groups had them.
        services: names of all services; a topic of such a name is that service's own.
        prefix: begins every key.
    """

    lease_s: float = 3.0
    renew_s: float = 0.0
    kept: timedelta = timedelta(days=7)
    services: Collection[str] = field(default_factory=frozenset)
    prefix: str = PREFIX


@dataclass(slots=True)
class _Served:
    """What a member was given; `delivered` is the last position that its group ever was."""

    delivered: int
    found: Sequence[Logged]


class RedisLog:
    """The streams of all topics."""

    def __init__(self, redis: RedisClient, options: BusOptions) -> None:
        self._redis = redis
        self._options = options
        self._renew_s = options.renew_s or options.lease_s / RENEWALS
        self._keys = BusKeys(options.prefix)
        self._append = redis.script(scripts.APPEND)
        self._poll = redis.script(scripts.POLL)
        self._renew = redis.script(scripts.RENEW)
        self._retention = Retention(redis, self._keys, options.kept)
        self._closed = False

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True

    async def append(self, source: str, events: Collection[tuple[str, bytes]]) -> int:
        """Store topics and events that a service tells; the position of the last one.

        Those of one topic are stored all or none.

        Raises:
            MeshError: BATCH_TOO_LARGE, TOPIC_OF_ANOTHER, or UNAVAILABLE; after the last of
                these they may be there.
        """
        topics: dict[str, list[Word]] = {}
        for topic, event in events:
            topics.setdefault(topic, []).append(event)
        if any(topic != source and topic in self._options.services for topic in topics):
            raise MeshError(BusReason.TOPIC_OF_ANOTHER)
        if sum(len(event) for _, event in events) > MAX_BYTES:
            raise MeshError(BusReason.BATCH_TOO_LARGE)
        last: dict[str, int] = {}
        with reached():
            for topic, batch in topics.items():
                keys = self._keys.of(topic)
                await self._retention.look_after(topic)
                last[topic] = await self._append(keys=[keys.log, keys.head], args=batch)
        return last[topic] if topics else 0

    async def poll(self, ask: Ask) -> Sequence[Logged] | None:
        """The next events for a member; None while another one is served.

        Raises:
            MeshError: UNAVAILABLE; what is settled may have taken effect.
        """
        with reached():
            if ask.renewing:
                return () if await self._renewed(ask) else None
            await self._retention.look_after(ask.key.topic)
            served = await self._serve(ask, await self._settlement(ask.settlement))
            if served and not (served.found or ask.leaving or not ask.wait_s):
                served = await self._wait(ask, served)
        return served.found if served else None

    async def _renewed(self, ask: Ask) -> bool:
        lease = self._keys.of(ask.key.topic).lease(ask.key.group)
        answer = await self._renew(keys=[lease], args=[ask.member, self._lease_ms])
        return bool(answer)

    async def _wait(self, ask: Ask, served: _Served) -> _Served | None:
        """Wait for events, renewing the lease meanwhile: a member that dies makes room soon."""
        loop = asyncio.get_running_loop()
        until = loop.time() + ask.wait_s
        again: _Served | None = served
        async with self._redis.blocking() as connection:
            while again and not again.found and not self._closed:
                block_s = min(self._renew_s, until - loop.time())
                if block_s <= 0:
                    break
                words = _news(self._keys.of(ask.key.topic), again.delivered, block_s)
                await connection.execute(*words, timeout_s=block_s + ANSWER_S)
                again = await self._serve(ask, [0, 0, 0])
        return again

    async def _serve(self, ask: Ask, settled: list[Word]) -> _Served | None:
        keys, group = self._keys.of(ask.key.topic), ask.key.group
        answer = await self._poll(
            keys=[
                *(keys.log, keys.head, keys.offsets, keys.lease(group)),
                *(keys.dead(group), keys.letters(group), keys.replaying(group)),
            ],
            args=[
                *("leave" if ask.leaving else "poll", group, ask.member, self._lease_ms),
                *(ask.most or DEFAULT_EVENTS, MAX_BYTES, *settled),
            ],
        )
        if not answer[0]:
            return None
        _, lost, delivered, letters, events = answer
        if lost:
            _log.error("bus_lost_events", group=group, topic=ask.key.topic, position=delivered)
        return _Served(delivered, _letters(letters) if letters else _events(events))

    async def _settlement(self, settlement: Settlement) -> list[Word]:
        """A settlement as the script takes it; each event buried brings a number for its letter."""
        words: list[Word] = [settlement.position, len(settlement.replayed), *settlement.replayed]
        words.append(len(settlement.buried))
        if not settlement.buried:
            return words
        last = await self._redis.execute("INCRBY", self._keys.letters, len(settlement.buried))
        for number, burial in enumerate(settlement.buried, last - len(settlement.buried) + 1):
            words += (burial.position, burial.dead_letter_id, number)
            words += (burial.attempts, burial.error)
        return words

    @property
    def _lease_ms(self) -> int:
        return int(self._options.lease_s * 1_000)


@contextmanager
def reached() -> Iterator[None]:
    """Say as all services do that Redis cannot be reached."""
    try:
        yield
    except RedisUnavailable as error:
        raise MeshError(MeshReason.UNAVAILABLE, "The bus cannot reach Redis") from error


def position_of(entry_id: bytes) -> int:
    """The position in `POSITION-0`."""
    return int(entry_id[:-2])


def _news(keys: TopicKeys, delivered: int, block_s: float) -> tuple[Word, ...]:
    block_ms = max(1, int(block_s * 1_000))  # 0 would be for ever
    return "XREAD", "COUNT", 1, "BLOCK", block_ms, "STREAMS", keys.log, f"{delivered}-0"


def _events(answer: Sequence[bytes]) -> list[Logged]:
    pairs = iter(answer)
    return [Logged(position=position_of(i), event=raw) for i, raw in zip(pairs, pairs, strict=True)]


def _letters(answer: Sequence[Any]) -> list[Logged]:
    of_each = iter(answer)
    return [
        Logged(position=int(position), event=event, dead_letter_id=int(number))
        for number, position, event in zip(of_each, of_each, of_each, strict=True)
    ]
