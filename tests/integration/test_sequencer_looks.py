"""Looks at sequences whose logs are in a database: all of it by one statement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from mesh import Settings
from mesh.clock import ManualClock
from mesh.errors import MeshError
from mesh.storage import Row, Store, address, migrations, open_store
from mesh.storage._base import Statement
from mesh.telemetry import Meters, NullTracer
from sequencer import ledger
from sequencer.allocation import Allocator
from sequencer.app import BLUEPRINT
from sequencer.definition import Definition
from sequencer.directory import Directory
from sequencer.journal import WitnessJournal
from sequencer.ledger import Wish
from sequencer.look import Apart
from sequencer.plans import Plans
from sequencer.store import HomeLog, SqlCatalogue, SqlLog
from sequencer.store._floors import Floor, Floors
from sequencer.witnesses import Witnesses
from tests.unit.sequencer.memory import BEGIN, Nobody, defined


class Counting:
    """A store that counts the statements that read, and refuses none."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.reads = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def fetch_all(
        self, statement: Statement, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row]:
        self.reads += 1
        return await self._store.fetch_all(statement, parameters)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Counting]:
    """The service's store, on whichever database the run is."""
    settings = Settings(var=tmp_path)
    settings.data_dir.mkdir(parents=True)
    place = address(settings, BLUEPRINT.name)
    assert BLUEPRINT.migrations is not None
    migrations.upgrade(place, BLUEPRINT.migrations)
    async with open_store(place, tracer=NullTracer()) as opened:
        yield Counting(opened)


@pytest.fixture
def directory(store: Counting) -> Directory:
    return Directory(SqlCatalogue(store), ManualClock(BEGIN))


@pytest.fixture
def log(store: Counting) -> HomeLog:
    return HomeLog(store, ManualClock(BEGIN))


async def made(directory: Directory, log: SqlLog, name: str = "shop.order") -> Definition:
    """A sequence that ten ids were taken of."""
    definition = await directory.add(defined(name), "ops/rpc")
    assert definition is not None
    tip = await log.tip(definition.uid)
    assert tip is not None
    wish = Wish(holder="shop/1", size=10)
    await log.append(definition.uid, tip, [ledger.grant(definition, tip, wish, directory.stamp())])
    return definition


async def test_a_sequence_and_its_tip_are_read_by_one_statement(
    store: Counting, directory: Directory, log: HomeLog
) -> None:
    """By its name and by its identity, whatever is beside it."""
    await made(directory, log, "shop.invoice")
    definition = await made(directory, log)
    before = store.reads

    look = await log.looks.named("shop.order")

    assert (look.definition, look.tip.position, look.tip.number) == (definition, 10, 2)
    assert await log.looks.again(definition) == look
    assert store.reads - before == 2


async def test_a_renamed_sequence_is_found_by_all_its_names(
    directory: Directory, log: HomeLog, store: Counting
) -> None:
    """Though its identity follows from the first."""
    known = await made(directory, log)
    renamed = defined(uid=known.uid, name="shop.sale", revision=2)
    assert await SqlCatalogue(store).change(renamed, renamed=True)

    looks = [await log.looks.named(name) for name in ("shop.order", "shop.sale")]

    assert [look.definition.name for look in looks] == ["shop.sale"] * 2
    assert [look.tip.position for look in looks] == [10, 10]


async def test_a_log_that_went_on_elsewhere_is_not_taken_for_what_it_was(
    directory: Directory, log: HomeLog, store: Counting
) -> None:
    """The tip lies behind the floor then, in a new epoch."""
    known = await made(directory, log)
    tip = await log.tip(known.uid)
    assert tip is not None
    floor = Floor(lineage=7, position=5_000, number=900, epoch=0, capacity=known.capacity)
    stamp = directory.stamp()
    moved = ledger.changed(tip, "mesh:sequencer/log", "moved", stamp)
    await Floors(store).move(known.uid, None, floor, after=tip, entries=[moved])

    look = await log.looks.named("shop.order")

    assert (look.tip.position, look.tip.epoch) == (5_000, 1)


async def test_an_unknown_name_is_not_found(log: HomeLog) -> None:
    """And nothing is made of it."""
    with pytest.raises(MeshError, match=r"shop\.order"):
        await log.looks.named("shop.order")


async def test_a_definition_is_never_older_than_the_tip(
    directory: Directory, log: HomeLog, monkeypatch: pytest.MonkeyPatch, store: Counting
) -> None:
    """What is changed between two reads is seen with the entry that announces it, or earlier."""
    known = await made(directory, log)
    changed = defined(uid=known.uid, revision=2, retention_days=7)
    definition = directory.definition

    async def slow(name: str) -> Definition:
        found = await definition(name)
        await SqlCatalogue(store).change(changed)
        tip = await log.tip(known.uid)
        assert tip is not None
        entry = ledger.changed(tip, "ops/rpc", "settings", directory.stamp())
        await log.append(known.uid, tip, [entry])
        return found

    monkeypatch.setattr(directory, "definition", slow)

    look = await Apart(directory, log).named("shop.order")

    assert look.definition.revision == 2 or look.tip.number == 2


async def test_a_server_that_has_just_started_grants_after_one_look(
    directory: Directory, log: HomeLog, store: Counting, tmp_path: Path
) -> None:
    """Also to a client with a lease, when that is the newest entry: the append proves it."""
    known = await made(directory, log)
    tip = await log.tip(known.uid)
    assert tip is not None
    with WitnessJournal(tmp_path / "witness.db") as journal:
        witnesses = Witnesses(log, journal, Nobody())
        wish = Wish(holder="shop/1", size=10, last=tip.witness, is_believed=True)
        plan = Plans(log, witnesses).grant(wish)
        before = store.reads
        async with Allocator(directory, log, witnesses, Meters(), looks=log.looks) as allocator:
            _, entry = await allocator.append(known.name, plan)

    assert entry is not None
    assert (entry.position, store.reads - before) == (10, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 64, 65])
async def test_an_append_brings_all_its_entries_and_no_more(
    directory: Directory, log: HomeLog, count: int
) -> None:
    """Statements are compiled for numbers that double; what is left of one stays empty."""
    known = await made(directory, log)
    begin = await log.tip(known.uid)
    assert begin is not None
    entries, tip = [], begin
    for _ in range(count):
        wish = Wish(holder="shop/1", size=3)
        entries.append(ledger.grant(known, tip, wish, directory.stamp()))
        tip = entries[-1].tip

    await log.append(known.uid, begin, entries)

    assert await log.tip(known.uid) == tip
    assert await log.entry(known.uid, begin.number + 1) == entries[0]
    assert await log.entry(known.uid, tip.number + 1) is None


async def test_warming_leaves_no_trace(log: HomeLog) -> None:
    """It appends behind an entry that no log has."""
    async with log:
        assert await log.tip(0) is None
