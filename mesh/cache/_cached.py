"""Cache-aside: what is asked for is looked for in the cache, else fetched from its source."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from random import random
from typing import Final, Generic, TypeVar, cast

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import DecodeError, Message

from engine.mesh.v1.event_pb2 import Event
from mesh import contract
from mesh.cache._cache import Cache
from mesh.clock import Clock, SystemClock
from mesh.context import EMPTY, using
from mesh.events import Effect, Subscription
from mesh.telemetry import Meters

M = TypeVar("M", bound=Message)

LONGEST_KEPT_LOAD_S: Final = 1.0
"""What took longer to load is not kept: a cache refuses values for that long after a deletion."""

_NONE: Final = b"\x00"
_SOME: Final = b"\x01"


class PersonalDataError(TypeError):
    """A message may hold personal data and must not be cached; the text names the field."""


class Cached(Generic[M]):
    """Messages of one type by key.

    Whoever asks for a key while it is being fetched waits for that one answer. The fetch
    runs as the service itself, with neither the user nor the deadline of the one who asked
    first, and ends when nobody waits for it any more. An error reaches all who wait and is
    not kept.

    A value may be stale for `ttl_s` (and a tenth) at the most; `invalidate` ends it at once.

    Args:
        cache: where the values are, for this process or for all of the service.
        load: fetches a value in bounded time; None when there is none.
        of: type of the messages.
        name: of this use of the cache; keys and meters carry it.
        ttl_s: how long a value is kept, give or take `jitter`.
        jitter: share of the times that is left to chance, so that not all expire at once.
        negative_ttl_s: how long it is kept that there is none; 0: not at all.

    Raises:
        PersonalDataError: the messages have a field with a `sensitivity`.
    """

    def __init__(
        self,
        cache: Cache,
        load: Callable[[str], Awaitable[M | None]],
        *,
        of: type[M],
        name: str,
        ttl_s: float,
        jitter: float = 0.1,
        negative_ttl_s: float = 0.0,
        meters: Meters | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random,
    ) -> None:
        _refuse_personal(cast("Descriptor", of.DESCRIPTOR), set())
        self._cache = cache
        self._load = load
        self._type = of
        self._name = name
        self._times = {_SOME: ttl_s, _NONE: negative_ttl_s}
        self._jitter = jitter
        self._clock = clock or SystemClock()
        self._random = random
        self._flights: dict[str, _Flight] = {}
        meters = meters or Meters()
        self._hits = meters.counter(f"cache.{name}.hits")
        self._misses = meters.counter(f"cache.{name}.misses")
        self._failures = meters.counter(f"cache.{name}.failures")

    async def get(self, key: str) -> M | None:
        """The value, a message of the caller's own; None when there is none.

        Raises what the source raises.
        """
        flight = self._flights.get(key)
        if flight is None or flight.abandoned:
            flight = self._flights[key] = _Flight()
            flight.task = asyncio.create_task(self._fly(key, flight))
            flight.task.add_done_callback(_look_at_failure)
        return self._decoded(await flight.landed())

    async def invalidate(self, key: str) -> None:
        """Forget the value; one whose fetch has begun is not kept either.

        Whoever asks after this was called gets a value that was fetched after it.
        """
        flight = self._flights.pop(key, None)
        if flight is not None:
            flight.kept = False
        await self._cache.delete(self._key(key))

    def subscription(
        self, *, group: str, topic: str, keys: Callable[[Event], Iterable[str]]
    ) -> Subscription:
        """What makes the events of a topic invalidate the keys that they bear on.

        One process of the service gets each event: with several, only a shared cache is
        invalidated for all of them.
        """

        async def react(event: Event) -> Effect | None:
            for key in keys(event):
                await self.invalidate(key)
            return None

        return Subscription(group=group, topic=topic, react=react)

    async def _fly(self, key: str, flight: _Flight) -> bytes:
        try:
            found = await self._cache.get(self._key(key))
            if found is not None and self._is_readable(found):
                self._hits.add()
                return found
            self._misses.add()
            return await self._fetch(key, flight)
        finally:
            if self._flights.get(key) is flight:
                del self._flights[key]

    async def _fetch(self, key: str, flight: _Flight) -> bytes:
        begun = self._clock.monotonic()
        try:
            with using(EMPTY):
                value = await self._load(key)
        except Exception:
            self._failures.add()
            raise
        found = _NONE if value is None else _SOME + value.SerializeToString()
        ttl_s = self._times[found[:1]] * (1 + self._jitter * (2 * self._random() - 1))
        in_time = self._clock.monotonic() - begun <= LONGEST_KEPT_LOAD_S
        if flight.kept and in_time and ttl_s > 0:
            await self._cache.set(self._key(key), found, ttl_s=ttl_s)
        return found

    def _key(self, key: str) -> str:
        return f"{self._name}:{key}"

    def _decoded(self, found: bytes) -> M | None:
        return None if found[:1] == _NONE else self._type.FromString(found[1:])

    def _is_readable(self, found: bytes) -> bool:
        """Not what another version of the service left there."""
        try:
            self._decoded(found)
        except DecodeError:
            return False
        return found[:1] in self._times


class _Flight:
    """One value on its way; ends early when nobody waits for it any more."""

    __slots__ = ("abandoned", "kept", "task", "waiting")

    task: asyncio.Task[bytes]

    def __init__(self) -> None:
        self.waiting = 0
        self.kept = True
        self.abandoned = False

    async def landed(self) -> bytes:
        self.waiting += 1
        try:
            # One who leaves must not take the answer away from the others.
            return await asyncio.shield(self.task)
        except asyncio.CancelledError:
            if self.waiting == 1:
                self.abandoned = True
                self.task.cancel()
            raise
        finally:
            self.waiting -= 1


def _look_at_failure(task: asyncio.Task[bytes]) -> None:
    """Those who waited have it; they may all have left."""
    with suppress(asyncio.CancelledError):
        task.exception()


def _refuse_personal(message: Descriptor, seen: set[str]) -> None:
    """Look through a type and all that it holds."""
    if message.full_name in seen:
        return
    seen.add(message.full_name)
    for field in message.fields:
        if contract.sensitivity(field):
            raise PersonalDataError(f"{field.full_name} is personal data: it must not be cached")
        if field.message_type is not None:
            _refuse_personal(field.message_type, seen)
