"""Ten thousand sequences in one server."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from mesh import Settings
from mesh.clock import ManualClock
from mesh.storage import Store, address, migrations, open_store
from mesh.telemetry import Meters, NullTracer
from sequencer import ledger
from sequencer.allocation import MAX_HANDS, Allocator
from sequencer.app import BLUEPRINT
from sequencer.directory import Directory
from sequencer.entry import Entry
from sequencer.journal import WitnessJournal
from sequencer.ledger import Wish
from sequencer.plans import Plans
from sequencer.store import HomeLog, SqlCatalogue
from sequencer.store._tables import definition_values, definitions, entries, entry_values, names
from sequencer.witnesses import Witnesses
from tests.unit.sequencer.memory import BEGIN, Nobody, defined

SEQUENCES, FEW, USERS = 10_000, 300, 500
MAX_BYTES = 4_096
AT_ONCE = 64


class Server:
    """What a server grants with, on a store that has sequences."""

    def __init__(self, store: Store, journal: WitnessJournal, max_hands: int = MAX_HANDS) -> None:
        clock = ManualClock(BEGIN)
        log = HomeLog(store, clock)
        witnesses = Witnesses(log, journal, Nobody())
        directory = Directory(SqlCatalogue(store), clock)
        self.plans = Plans(log, witnesses)
        self.allocator = Allocator(
            directory, log, witnesses, Meters(), looks=log.looks, max_hands=max_hands
        )

    async def lease(self, name: str, client: int) -> Entry:
        """A hundred ids."""
        wish = Wish(holder=f"shop/{client}", size=100)
        _, entry = await self.allocator.append(name, self.plans.grant(wish))
        assert entry is not None
        return entry

    async def lease_of_each(self, called: Sequence[str]) -> list[Entry]:
        """A hundred ids of each sequence, some at once."""
        found: list[Entry] = []
        for begin in range(0, len(called), AT_ONCE):
            some = called[begin : begin + AT_ONCE]
            found += await asyncio.gather(*(self.lease(name, n) for n, name in enumerate(some)))
        return found


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    settings = Settings(var=tmp_path)
    settings.data_dir.mkdir(parents=True)
    place = address(settings, BLUEPRINT.name)
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(place, BLUEPRINT.migrations)
    async with open_store(place, tracer=NullTracer()) as opened:
        yield opened


@pytest.fixture
def server(store: Store, tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Makes servers; all of them share a journal, as processes of one host do."""
    with WitnessJournal(tmp_path / "witness.db") as journal:
        yield lambda **options: Server(store, journal, **options)


async def filled(store: Store, count: int) -> list[str]:
    """The names of so many new sequences."""
    wanted = [defined(f"shop.orders_of_branch_{number}") for number in range(count)]
    stamp = ledger.Stamp(mark=1, time=BEGIN)
    rows: Sequence[tuple[sa.Insert, list[dict[str, Any]]]] = (
        (sa.insert(definitions), [definition_values(one) for one in wanted]),
        (sa.insert(names), [{"name": one.name, "uid": one.uid} for one in wanted]),
        (
            sa.insert(entries),
            [
                {"sequence": one.uid, **entry_values(ledger.created(one, "ops/rpc", stamp))}
                for one in wanted
            ],
        ),
    )
    async with store.transaction() as transaction:
        for statement, values in rows:
            await transaction.execute(statement, values)
    return [one.name for one in wanted]


@contextmanager
def traced() -> Iterator[Callable[[], int]]:
    """Answers how many bytes Python has taken since, and not given back."""
    gc.collect()
    tracemalloc.start()
    try:
        yield lambda: (gc.collect(), tracemalloc.get_traced_memory()[0])[1]
    finally:
        tracemalloc.stop()


@pytest.mark.scale
@pytest.mark.timeout(600)
async def test_ten_thousand_sequences_take_little_memory_and_no_tasks(
    store: Store, server: Callable[..., Server]
) -> None:
    """Each costs a few kilobytes at most; what works for all of them is there once."""
    one, called = server(), await filled(store, SEQUENCES)
    await one.lease_of_each(called[:FEW])
    tasks, threads = len(asyncio.all_tasks()), frozenset(threading.enumerate())

    with traced() as bytes_taken:
        leased = await one.lease_of_each(called[FEW:])
        taken = bytes_taken()

    assert {(entry.position, entry.size) for entry in leased} == {(0, 100)}
    assert len(one.allocator.in_use()) == SEQUENCES
    assert taken / len(leased) <= MAX_BYTES
    assert len(asyncio.all_tasks()) == tasks
    assert frozenset(threading.enumerate()) <= threads


async def test_a_server_remembers_no_more_sequences_than_it_may(
    store: Store, server: Callable[..., Server]
) -> None:
    """Those that it let go of are looked up again, and go on where they were."""
    one, called = server(max_hands=100), await filled(store, FEW)

    first = await one.lease_of_each(called)
    assert len(one.allocator.in_use()) <= 100
    second = await one.lease_of_each(called)

    assert len(one.allocator.in_use()) <= 100
    assert {entry.position for entry in first} == {0}
    assert {(entry.position, entry.number) for entry in second} == {(100, 3)}


async def test_callers_who_took_ids_are_not_remembered_without_a_quota(
    store: Store, server: Callable[..., Server]
) -> None:
    """However many users take ids of a sequence, it takes no more memory."""
    one, (name,) = server(), await filled(store, 1)
    await one.lease(name, 0)

    with traced() as bytes_taken:
        for user in range(USERS):
            wish = Wish(holder=f"{user:0120}/web", size=1)
            await one.allocator.append(name, one.plans.grant(wish))
        taken = bytes_taken()

    assert taken / USERS < 320, "of each lease its mark is remembered, and no name"
