"""One sequencer server without its wire, cold: no journal, no peers, nothing in memory."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Self

from mesh.clock import SystemClock
from mesh.redis import RedisClient
from mesh.storage import Store
from mesh.telemetry import Meters
from sequencer.allocation import Allocator
from sequencer.definition import MAX_ID, Definition, Kind
from sequencer.directory import Directory, identity
from sequencer.entry import Entry, Tip, Witness
from sequencer.ledger import Wish
from sequencer.plans import Plans
from sequencer.store import HomeLog, SqlCatalogue
from sequencer.store._redis import RedisLog
from sequencer.witnesses import Witnesses

BOUND_S = 20.0


def definition(name: str, *, max_value: int = MAX_ID, **changes: Any) -> Definition:
    """A sequence from 1 on."""
    settings = {
        "uid": identity(name),
        "name": name,
        "kind": Kind.SEGMENT,
        "start": 1,
        "min_value": 1,
        "max_value": max_value,
        "increment": 1,
        "cycle": False,
        "create_time": datetime(2026, 1, 1, tzinfo=UTC),
        "retention_days": 400,
    }
    return Definition(**{**settings, **changes})


def a_name() -> str:
    """The name of a sequence that no other test has."""
    return f"test.s{secrets.token_hex(6)}"


class NoJournal:
    """A server's disk that was lost."""

    def note(self, sequence: int, witness: Witness) -> None:
        pass

    def read(self, sequence: int) -> Witness | None:
        return None


class NoPeers:
    """No other server answers."""

    async def witnesses(self, name: str, *, patient: bool = True) -> Sequence[Witness]:
        return ()


class Desk:
    """A server that grants: with `redis` on logs in there, else on those in its database."""

    def __init__(self, store: Store, redis: RedisClient | None = None) -> None:
        clock, self.meters = SystemClock(), Meters()
        catalogue = SqlCatalogue(store)
        self.directory = Directory(catalogue, clock)
        self.log: HomeLog | RedisLog
        self._stack = AsyncExitStack()
        self._redis = redis
        if redis is None:
            self.log = HomeLog(store, clock)
        else:
            self.log = RedisLog(redis, store, clock, self.meters)
        witnesses = Witnesses(self.log, NoJournal(), NoPeers())
        self._plans = Plans(self.log, witnesses)
        self._allocator = Allocator(
            self.directory, self.log, witnesses, self.meters, looks=self.log.looks
        )

    async def __aenter__(self) -> Self:
        if self._redis is not None:
            await self._stack.enter_async_context(self._redis)
        await self._stack.enter_async_context(self.log)
        await self._stack.enter_async_context(self._allocator)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def create(self, name: str, **changes: Any) -> int:
        """A new sequence; answers its identity."""
        made = await self.directory.add(definition(name, **changes), "test/desk")
        assert made is not None
        return made.uid

    async def take(self, name: str, size: int = 100, client: str = "c") -> Entry:
        """Lease ids for a client that never had any."""
        wish = Wish(holder=f"test/{client}", size=size)
        _, entry = await self._allocator.append(name, self._plans.grant(wish))
        assert entry is not None
        return entry

    async def give_back(self, name: str, lease: Entry, used: int) -> Entry | None:
        """Return what is left of a lease."""
        back = self._plans.take_back(lease.holder, lease.number, lease.tip.mark, used)
        _, entry = await self._allocator.append(name, back)
        return entry

    async def take_many(self, name: str, count: int, size: int = 100) -> list[Entry]:
        """Leases of eight clients at a time."""
        found: list[Entry] = []
        for _ in range(count // 8):
            found += await asyncio.gather(*(self.take(name, size, f"c{n}") for n in range(8)))
        return found

    async def tip(self, uid: int) -> Tip:
        """Where the sequence is."""
        tip = await self.log.tip(uid)
        assert tip is not None
        return tip


def repeated(entries: Sequence[Entry]) -> list[tuple[int, int]]:
    """Ranges of positions that overlap."""
    ranges = sorted((entry.position, entry.stop) for entry in entries)
    return [b for a, b in pairwise(ranges) if b[0] < a[1]]


class CountingStore:
    """A store that counts what is asked of it, by method."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.counts: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        if name in ("fetch_all", "execute", "transaction"):
            self.counts[name] += 1
        return found
