"""A store with a table of effects, a bus in memory, and consumers of one topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue
from sqlalchemy.schema import CreateTable

from engine.mesh.v1.bus_pb2 import AppendRequest
from engine.mesh.v1.event_pb2 import Event
from mesh.clock import ManualClock
from mesh.events import Consumer, Effect, LocalBus, Subscription, event
from mesh.storage import SQLiteOptions, SQLiteStore, Store, Transaction
from mesh.telemetry import NullTracer, Telemetry

TOPIC = "orders"

EFFECTS = sa.Table(
    "effect",
    sa.MetaData(),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("text", sa.String(100), nullable=False),
    info={"ordered": "one writer at a time"},
)

T = TypeVar("T")
React = Callable[[str], Awaitable[object]]


def told(text: str, key: str = "") -> Event:
    """An event that says `text`."""
    return event(StringValue(value=text), key=key, topic=TOPIC)


def said(given: Event) -> str:
    """What an event says."""
    return StringValue.FromString(given.payload).value


async def kept(store: Store) -> list[str]:
    """The texts whose effects are committed, in their order."""
    rows = await store.fetch_all(sa.select(EFFECTS.c.text).order_by(EFFECTS.c.number))
    return [row.text for row in rows]


async def eventually(look: Callable[[], Awaitable[T]], enough: Callable[[T], bool]) -> T:
    """What `look` answers once it is enough; the test's time-out is the bound."""
    while True:
        found = await look()
        if enough(found):
            return found
        await asyncio.sleep(0.001)


async def _now(value: T) -> T:
    return value


class Shop:
    """Consumes orders: keeps the text of each, after what the test wants done first.

    `until(count)` returns once that many effects are committed and polled for.
    """

    def __init__(self, store: Store, bus: LocalBus) -> None:
        self.store = store
        self.bus = bus
        self.clock = ManualClock()
        self.telemetry = Telemetry()
        self.before: React = _nothing
        self.within: Callable[[Transaction, str], Awaitable[object]] = _nothing

    async def append(self, events: Sequence[Event]) -> None:
        await self.bus.append(AppendRequest(events=events))

    def consumer(self, **changes: Any) -> Consumer:
        options: dict[str, Any] = {"group": "shop", "topic": TOPIC, "react": self._react}
        subscription = Subscription(**options | changes)
        return Consumer(
            self.store, self.bus, subscription, clock=self.clock, telemetry=self.telemetry
        )

    async def until_consumed(self, count: int) -> None:
        counter = self.telemetry.meters.counter("events.consumed")
        await eventually(lambda: _now(counter.value), lambda had: had >= count)

    async def until(self, count: int) -> list[str]:
        return await eventually(lambda: kept(self.store), lambda found: len(found) >= count)

    async def until_dead(self, count: int) -> list[str]:
        dead = await eventually(
            lambda: _now(self.bus.dead("shop", TOPIC)), lambda found: len(found) >= count
        )
        return [said(logged.event) for logged in dead]

    async def _react(self, given: Event) -> Effect:
        text = said(given)
        await self.before(text)

        async def effect(tx: Transaction) -> None:
            await self.within(tx, text)
            await tx.execute(sa.insert(EFFECTS), {"text": text})

        return effect


async def _nothing(*_: object) -> None:
    pass


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """An open store with the table of effects."""
    patient = SQLiteOptions(statement_limit_s=60.0)  # on a busy machine too
    path = tmp_path / "shop.db"
    async with SQLiteStore(path, tracer=NullTracer(), options=patient) as opened:
        async with opened.transaction() as tx:
            await tx.execute(CreateTable(EFFECTS))
        yield opened


@pytest.fixture
def bus() -> LocalBus:
    """A bus as the shop sees it."""
    return LocalBus("shop")


@pytest.fixture
def shop(store: SQLiteStore, bus: LocalBus) -> Shop:
    """A shop that consumes from the bus."""
    return Shop(store, bus)
