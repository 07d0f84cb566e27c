"""What every store must do with the events that its transactions publish, and with those it had."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from engine.mesh.v1.event_pb2 import Event
from mesh.clock import ManualClock
from mesh.events import event
from mesh.storage import (
    Inbox,
    IntegrityViolation,
    Store,
    StoreUnavailable,
    Transaction,
    purge_inbox,
)
from tests.conformance.stores import STORES, Place, place


@pytest.fixture(params=STORES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return place(request.param, request, tmp_path)


@pytest.fixture
async def store(database: Place) -> AsyncIterator[Store]:
    async with database.open() as opened:
        yield opened


def told(text: str) -> Event:
    return event(StringValue(value=text), topic="orders")


async def publish(store: Store, *texts: str) -> None:
    async with store.transaction() as tx:
        for text in texts:
            tx.publish(told(text))


async def publish_and_fail(store: Store) -> None:
    async with store.transaction() as tx:
        tx.publish(told("never"))
        raise LookupError


async def waiting(store: Store, limit: int = 10_000, after: int = 0) -> list[str]:
    """The texts of the events that wait."""
    found = await store.outbox.read(limit, after=after)
    return [StringValue.FromString(Event.FromString(raw).payload).value for _, raw in found]


async def test_an_event_is_there_once_its_transaction_committed(store: Store) -> None:
    """Not before, as it was when it was published, and in the order of publishing."""
    async with store.transaction() as tx:
        first = told("a")
        tx.publish(first)
        first.payload = b"changed later"
        tx.publish(told("b"))
        assert await waiting(store) == []
    await publish(store, "c")
    assert await waiting(store) == ["a", "b", "c"]


async def test_a_roll_back_leaves_no_event(store: Store) -> None:
    """Neither of what failed nor of what was cancelled; its neighbours keep theirs."""

    async def attempt(number: int) -> None:
        async with store.transaction() as tx:
            tx.publish(told(f"{number}"))
            if number % 3 == 0:
                raise LookupError
            if number % 3 == 1:
                raise asyncio.CancelledError

    await asyncio.gather(*(attempt(number) for number in range(30)), return_exceptions=True)
    assert sorted(await waiting(store), key=int) == [f"{n}" for n in range(2, 30, 3)]


async def test_many_events_of_one_transaction_are_one_unit(store: Store) -> None:
    """More than a store writes at once."""
    await publish(store, *(f"{n}" for n in range(1_234)))
    assert await waiting(store) == [f"{n}" for n in range(1_234)]


async def test_events_are_read_from_a_place_on_within_bounds(store: Store) -> None:
    """By number and by size; an event larger than the bound comes by itself."""
    await publish(store, *"abc", "x" * 5_000, "y" * 5_000)
    places = [place for place, _ in await store.outbox.read(10)]
    assert places == sorted(places)
    assert await waiting(store, limit=2) == ["a", "b"]
    assert await waiting(store, limit=1, after=places[0]) == ["b"]
    found = await store.outbox.read(10, max_bytes=2_000)
    assert [place for place, _ in found] == places[:3]
    found = await store.outbox.read(10, after=places[2], max_bytes=100)
    assert [place for place, _ in found] == places[3:4]


async def test_what_was_taken_is_removed_and_its_place_not_used_again(store: Store) -> None:
    """Else a relay would remove what it has not taken."""
    await publish(store, "a", "b", "c")
    places = [place for place, _ in await store.outbox.read(10)]
    assert await store.outbox.remove(places[1]) == 2
    assert await waiting(store) == ["c"]
    assert await store.outbox.remove(places[2]) == 1
    await publish(store, "d")
    ((place, _),) = await store.outbox.read(10)
    assert place > places[2]


async def test_waiting_ends_when_something_was_published(store: Store) -> None:
    """Also when that was between the last read and the waiting; a roll-back wakes nobody."""
    waiter = asyncio.ensure_future(store.outbox.wait())
    with pytest.raises(LookupError):
        await publish_and_fail(store)
    async with store.transaction():
        pass
    assert not waiter.done()
    await publish(store, "a")
    await waiter
    await store.outbox.wait()
    assert await waiting(store) == ["a"]
    second = asyncio.ensure_future(store.outbox.wait())
    await asyncio.sleep(0)
    assert not second.done(), "what was read wakes no more"
    second.cancel()


async def test_a_commit_whose_task_is_gone_wakes_nevertheless(store: Store) -> None:
    """Cancelled while it waits for the disk, the transaction is kept, and so is its event."""
    kept = 0
    for attempt in range(100):
        published = asyncio.ensure_future(publish(store, f"{attempt}"))
        for _ in range(attempt % 5):
            await asyncio.sleep(0.001 * (attempt // 50))
        published.cancel()
        await asyncio.wait([published])
        async with store.transaction():
            pass  # whatever became of it is settled now
        waiter = asyncio.ensure_future(store.outbox.wait())
        await asyncio.sleep(0)
        found = await store.outbox.read(1)
        assert bool(found) == waiter.done()
        waiter.cancel()
        kept += await store.outbox.remove(10_000)
    assert kept, "some were cancelled late enough"


async def test_a_transaction_that_is_over_publishes_no_more(store: Store) -> None:
    """It would tell of nothing."""
    kept: list[Transaction] = []
    async with store.transaction() as tx:
        kept.append(tx)
    with pytest.raises(RuntimeError, match="over"):
        kept[0].publish(told("late"))


async def test_one_at_a_time_has_the_turn(database: Place) -> None:
    """Of two stores on one database; who waits gets it when it is given back, however that is."""
    async with database.open() as one, database.open() as other:
        order: list[str] = []

        async def relay(store: Store, name: str) -> None:
            async with store.outbox.turn() as turn:
                order.append(name)
                for _ in range(5):
                    await turn.confirm()
                    await asyncio.sleep(0.001)
                order.append(name)
                if name == "fails":
                    raise LookupError

        names = ("first", "fails", "third", "fourth")
        stores = (one, other, other, one)
        ended = await asyncio.gather(
            *(relay(store, name) for store, name in zip(stores, names, strict=True)),
            return_exceptions=True,
        )
        assert [type(end) for end in ended] == [type(None), LookupError, type(None), type(None)]
        assert order[::2] == order[1::2]
        assert sorted(order[::2]) == sorted(names)


async def test_waiting_for_a_turn_is_bounded(database: Place) -> None:
    """Who does not get it is told, and may try again; a cancelled holder gives it back."""
    entered = asyncio.Event()

    async def hold(store: Store) -> None:
        async with store.outbox.turn():
            entered.set()
            await asyncio.Event().wait()

    async with database.open() as one, database.open(options=database.impatient) as other:
        holder = asyncio.create_task(hold(one))
        await entered.wait()
        with pytest.raises(StoreUnavailable, match="another process"):
            await other.outbox.turn().__aenter__()
        holder.cancel()
        await asyncio.wait([holder])
        async with other.outbox.turn() as turn:
            await turn.confirm()


PUBLISH = """
import asyncio, sys
from pathlib import Path, PosixPath
from google.protobuf.wrappers_pb2 import StringValue
from mesh.events import event
from mesh.storage import MySQLAddress, open_store
from mesh.telemetry import NullTracer

async def main():
    async with open_store(eval(sys.argv[1]), tracer=NullTracer()) as store:
        for number in range(50):
            async with store.transaction() as tx:
                tx.publish(event(StringValue(value=f"{sys.argv[2]} {number}"), topic="orders"))

asyncio.run(main())
"""


async def test_processes_publish_to_one_outbox(database: Place) -> None:
    """All of it is there once, and what one of them published keeps its order."""
    async with database.open() as store:
        command = [sys.executable, "-c", PUBLISH, repr(database.address)]
        writers = [subprocess.Popen([*command, name]) for name in ("a", "b")]
        for writer in writers:
            assert await asyncio.to_thread(writer.wait, 60) == 0
        found = await waiting(store)
    for name in ("a", "b"):
        mine = [text for text in found if text.startswith(name)]
        assert mine == [f"{name} {number}" for number in range(50)]
    assert len(found) == 100


async def test_an_inbox_knows_what_its_consumer_had(store: Store) -> None:
    """Of any number asked for, and not what another consumer had."""
    inbox, other = (Inbox(store, name, ManualClock()) for name in ("tasks", "other"))
    ids = [told("x").event_id for _ in range(130)]
    async with store.transaction() as tx:
        await inbox.record(tx, ids[:120])
    assert await inbox.seen(ids) == set(ids[:120])
    assert await inbox.seen(ids[120:]) == set()
    assert await inbox.seen([]) == set()
    assert await other.seen(ids) == set()


async def test_an_event_is_recorded_once(store: Store) -> None:
    """The second transaction has no effect."""
    inbox = Inbox(store, "tasks", ManualClock())
    one = told("x").event_id

    async def have() -> None:
        async with store.transaction() as tx:
            tx.publish(told("effect"))
            await inbox.record(tx, [one])

    await have()
    with pytest.raises(IntegrityViolation):
        await have()
    assert await waiting(store) == ["effect"]


async def test_old_entries_of_the_inbox_are_removed(store: Store) -> None:
    """Those from long before the last go, the others stay, however many there are."""
    clock = ManualClock()
    inbox = Inbox(store, "tasks", clock)
    old, young = ([told("x").event_id for _ in range(700)] for _ in range(2))
    for ids in (old, young):
        async with store.transaction() as tx:
            await inbox.record(tx, ids)
        clock.advance(3_600)
    assert await purge_inbox(store, timedelta(minutes=30), clock.now()) == 700
    assert await inbox.seen([*old, *young]) == set(young)


async def test_what_was_had_last_is_known_however_long_the_service_was_down(store: Store) -> None:
    """It died before the bus heard of it: the bus hands it out again when it is back."""
    clock = ManualClock()
    inbox = Inbox(store, "tasks", clock)
    async with store.transaction() as tx:
        await inbox.record(tx, ["had last"])
    clock.advance(10 * 86_400)
    assert await purge_inbox(store, timedelta(days=7), clock.now()) == 0
    assert await inbox.seen(["had last"]) == {"had last"}
