"""What operators see of the bus on Redis: events, groups, dead letters of all topics."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from heapq import merge
from typing import Any, Final

from mesh.bus.domain import MAX_BYTES, DeadLetter, GroupKey, GroupState, Logged, fitting
from mesh.bus.news import News, heard_within
from mesh.bus.service import NEWEST
from mesh.clock import from_micros
from mesh.redis import _bus_scripts as scripts
from mesh.redis._bus_keys import PREFIX, BusKeys
from mesh.redis._bus_log import position_of, reached
from mesh.redis._client import RedisClient

LOOK_S: Final = 0.5
"""How often a listing that waits looks again."""

_SETTLED: Final = "settled:"

_Placed = tuple[int, int, Logged]
"""When an event was appended, in microseconds, its position, and itself."""


class RedisView:
    """Shows events, groups and dead letters; has dead letters handed out once more.

    Events of all topics together are put in order by when they were appended, and have that,
    in microseconds, as their position.

    Args:
        redis: reaches Redis.
        news: once closed, nobody waits any more.
    """

    def __init__(self, redis: RedisClient, news: News, prefix: str = PREFIX) -> None:
        self._redis = redis
        self._news = news
        self._keys = BusKeys(prefix)
        self._list = redis.script(scripts.LIST)
        self._letters = redis.script(scripts.LETTERS)
        self._replay = redis.script(scripts.REPLAY)

    async def events(self, topic: str, after: int, most: int, wait_s: float) -> Sequence[Logged]:
        """Events behind a place, or the newest, waiting for the first of them."""
        until = asyncio.get_running_loop().time() + wait_s
        with self._news.of(topic) as heard, reached():
            while True:
                found = await (self._of(topic, after, most) if topic else self._all(after, most))
                left_s = until - asyncio.get_running_loop().time()
                if found or left_s <= 0 or await heard_within(heard, min(left_s, LOOK_S)):
                    return found

    async def groups(self) -> Sequence[GroupState]:
        """Every group with how far it is."""
        with reached():
            states = [
                await self._state(topic, group, settled)
                for topic in await self._topics()
                for group, settled in (await self._groups(topic)).items()
            ]
        return sorted(states, key=lambda state: (state.key.group, state.key.topic))

    async def page(self, group: str, after: int, most: int) -> Sequence[DeadLetter]:
        """Dead letters of a group, or of all when it is empty, by number from `after` on."""
        letters: list[DeadLetter] = []
        with reached():
            for key in await self._group_keys(group):
                letters += await self._letters_of(key, after, most)
        letters.sort(key=lambda letter: letter.logged.dead_letter_id)
        return letters[:most]

    async def replay(self, ids: Collection[int], group: str) -> Sequence[str]:
        """Mark the letters of these numbers, or all of the group; the topic of each."""
        marked: list[str] = []
        with reached():
            for key in await self._group_keys(group):
                keys = self._keys.of(key.topic)
                both = [keys.dead(key.group), keys.replaying(key.group)]
                marked += [key.topic] * await self._replay(keys=both, args=[*ids])
        return marked

    async def _of(self, topic: str, after: int, most: int) -> Sequence[Logged]:
        placed = await self._placed(topic, "position", after, most)
        return [logged for _, _, logged in placed]

    async def _all(self, after: int, most: int) -> Sequence[Logged]:
        of_each = [await self._placed(t, "us", after, most) for t in await self._topics()]
        placed = [*merge(*of_each, key=lambda each: each[:2])]
        placed = placed[-most:] if after == NEWEST else placed[:most]
        if after == NEWEST:
            placed.reverse()
        fit = placed[: fitting([len(logged.event) for _, _, logged in placed])]
        if after == NEWEST:
            fit.reverse()
        return [Logged(position=us, event=logged.event) for us, _, logged in fit]

    async def _placed(self, topic: str, by: str, after: int, most: int) -> list[_Placed]:
        """Events of a topic in their order, as many as one answer holds."""
        keys = self._keys.of(topic)
        mode = "newest" if after == NEWEST else by
        answer = await self._list(keys=[keys.log, keys.head], args=[mode, after, most, MAX_BYTES])
        of_each = iter(answer)
        found = [
            (int(us), position_of(entry), Logged(position=position_of(entry), event=raw))
            for entry, us, raw in zip(of_each, of_each, of_each, strict=True)
        ]
        return found[::-1] if after == NEWEST else found

    async def _topics(self) -> Sequence[str]:
        found = await self._redis.execute("SMEMBERS", self._keys.topics)
        return sorted(topic.decode() for topic in found)

    async def _groups(self, topic: str) -> dict[str, int]:
        """The groups of a topic, with up to where each is done."""
        answer = iter(await self._redis.execute("HGETALL", self._keys.of(topic).offsets))
        return {
            name.decode().removeprefix(_SETTLED): int(value)
            for name, value in zip(answer, answer, strict=True)
            if name.startswith(_SETTLED.encode())
        }

    async def _group_keys(self, group: str) -> Sequence[GroupKey]:
        return [
            GroupKey(group=each, topic=topic)
            for topic in await self._topics()
            for each in await self._groups(topic)
            if group in ("", each)
        ]

    async def _state(self, topic: str, group: str, settled: int) -> GroupState:
        keys = self._keys.of(topic)
        last = int(await self._redis.execute("HGET", keys.head, "position") or 0)
        return GroupState(
            key=GroupKey(group=group, topic=topic),
            position=settled,
            lag=max(0, last - settled),
            dead=await self._redis.execute("ZCARD", keys.dead(group)),
        )

    async def _letters_of(self, key: GroupKey, after: int, most: int) -> list[DeadLetter]:
        keys, group = self._keys.of(key.topic), key.group
        answer = await self._letters(
            keys=[keys.dead(group), keys.letters(group), keys.replaying(group)],
            args=[after, most, MAX_BYTES],
        )
        return [_letter(key, *each) for each in answer]


def _letter(key: GroupKey, *said: Any) -> DeadLetter:
    number, position, replaying, event, attempts, error, us = said
    return DeadLetter(
        key=key,
        logged=Logged(position=int(position), event=event, dead_letter_id=int(number)),
        attempts=int(attempts),
        error=error.decode(),
        time=from_micros(int(us)),
        replaying=bool(replaying),
    )
