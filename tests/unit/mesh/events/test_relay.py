"""What a service published reaches the bus, in order, whatever happens on the way."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import grpc
import pytest

from engine.mesh.v1.bus_pb2 import AppendRequest, PollRequest
from mesh.clock import ManualClock
from mesh.events import LocalBus, Relay
from mesh.storage import Outbox, RelayTurn, SQLiteOptions, SQLiteStore, StoreUnavailable
from mesh.telemetry import Meters, NullTracer
from tests.unit.mesh.events.conftest import TOPIC, eventually, said, told


class Faulty(LocalBus):
    """A bus that fails the first calls, and remembers the sizes of what it was sent."""

    def __init__(self, failures: Sequence[grpc.StatusCode]) -> None:
        super().__init__("shop")
        self.failures = [*failures]
        self.sizes: list[int] = []

    async def append(self, request: AppendRequest) -> None:
        if self.failures:
            code = self.failures.pop(0)
            raise grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata())
        self.sizes.append(len(request.events))
        await super().append(request)


async def publish(store: SQLiteStore, *texts: str) -> None:
    async with store.transaction() as tx:
        for text in texts:
            tx.publish(told(text))


async def on(bus: LocalBus, count: int) -> list[str]:
    """What the bus has, once there are that many."""
    request = PollRequest(group="test", topic=TOPIC, member="m", max_events=5_000)
    answer = await eventually(lambda: bus.poll(request), lambda told: len(told.events) >= count)
    return [said(logged.event) for logged in answer.events]


async def emptied(store: SQLiteStore) -> None:
    await eventually(lambda: store.outbox.read(1), lambda found: not found)


async def test_what_waits_and_what_comes_is_passed_on_in_order(store: SQLiteStore) -> None:
    """Events from before the start, then those of later transactions; none stays behind."""
    bus, meters = LocalBus("shop"), Meters()
    early = [f"early {n}" for n in range(2_500)]
    await publish(store, *early)
    async with Relay(store.outbox, bus, meters=meters):
        assert await on(bus, 2_500) == early
        await emptied(store)
        await publish(store, "late")
        assert await on(bus, 2_501) == [*early, "late"]
        await emptied(store)
    assert meters.counter("events.relayed").value == 2_501


async def test_batches_are_bounded(store: SQLiteStore) -> None:
    """By number, and by bytes when the events are large."""
    bus = Faulty([])
    await publish(store, *(f"{n}" for n in range(1_500)))
    await publish(store, *("x" * 200_000 for _ in range(20)))
    async with Relay(store.outbox, bus):
        await on(bus, 1_520)
        await emptied(store)
    assert max(bus.sizes) == 1_000
    assert len(bus.sizes) >= 3, "20 × 200 kB are more than one batch may hold"


@pytest.mark.parametrize(
    "code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.PERMISSION_DENIED], ids=lambda c: c.name
)
async def test_events_wait_until_the_bus_takes_them(
    store: SQLiteStore, code: grpc.StatusCode
) -> None:
    """However often it fails, and whatever it says; each try waits longer, within bounds."""
    bus, clock = Faulty([code] * 12), ManualClock()
    await publish(store, "a", "b")
    async with Relay(store.outbox, bus, clock=clock):
        assert await on(bus, 2) == ["a", "b"]
    assert 0.75 * (3.15 + 6 * 2) <= clock.monotonic() <= 3.15 + 6 * 2


async def test_a_bus_that_is_away_delays_no_stop(store: SQLiteStore) -> None:
    """Leaving while it waits for the next try ends at once, and the events stay."""
    bus = Faulty([grpc.StatusCode.UNAVAILABLE] * 10_000)
    await publish(store, "a")
    async with Relay(store.outbox, bus):
        await asyncio.sleep(0)
    assert [place for place, _ in await store.outbox.read(10)] == [1]


class Stuck:
    """An outbox that cannot forget at first."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self.failures = 3

    async def read(
        self, limit: int, *, after: int = 0, max_bytes: int = 0
    ) -> Sequence[tuple[int, bytes]]:
        return await self._outbox.read(limit, after=after, max_bytes=max_bytes)

    async def remove(self, through: int) -> int:
        if self.failures:
            self.failures -= 1
            raise StoreUnavailable("the disk is full")
        return await self._outbox.remove(through)

    async def wait(self) -> None:
        await self._outbox.wait()

    def turn(self) -> AbstractAsyncContextManager[RelayTurn]:
        return self._outbox.turn()


async def test_what_cannot_be_forgotten_yet_is_not_sent_twice(store: SQLiteStore) -> None:
    """One relay remembers what the bus has; it removes it as soon as the store lets it."""
    bus = Faulty([])
    await publish(store, "a")
    async with Relay(Stuck(store.outbox), bus, clock=ManualClock()):
        await emptied(store)
    assert bus.sizes == [1]


async def test_a_crash_before_forgetting_sends_again(store: SQLiteStore) -> None:
    """The next relay cannot know: at least once, never not at all."""
    bus = Faulty([])
    await publish(store, "a")
    stuck = Stuck(store.outbox)
    stuck.failures = 10_000
    async with Relay(stuck, bus, clock=ManualClock()):
        await on(bus, 1)
    async with Relay(store.outbox, bus):
        assert await on(bus, 2) == ["a", "a"]


async def test_a_relay_waits_for_its_turn(tmp_path: Path) -> None:
    """As long as another one passes on, however often it tries; nothing is lost."""
    bus, clock = Faulty([]), ManualClock()
    options = SQLiteOptions(relay_wait_s=0.001)
    async with SQLiteStore(tmp_path / "shop.db", tracer=NullTracer(), options=options) as store:
        async with store.outbox.turn(), Relay(store.outbox, bus, clock=clock):
            await publish(store, "a")
            async with asyncio.timeout(60):
                while clock.monotonic() < 3.0:  # noqa: ASYNC110 - its tries move the clock
                    await asyncio.sleep(0.01)
            assert bus.sizes == []
        async with Relay(store.outbox, bus):
            assert await on(bus, 1) == ["a"]


async def test_several_relays_keep_the_order(store: SQLiteStore) -> None:
    """Each passes on what it finds, one at a time; each event once."""
    bus = Faulty([])
    texts = [f"{n}" for n in range(60)]
    async with Relay(store.outbox, bus), Relay(store.outbox, bus), Relay(store.outbox, bus):
        for text in texts:
            await publish(store, text)
        assert await on(bus, len(texts)) == texts
        await emptied(store)
    assert sum(bus.sizes) == len(texts)
