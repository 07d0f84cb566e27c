"""Looks at sequences whose logs are in a database: all of it by one statement."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh import Settings
from mesh.clock import ManualClock
from mesh.errors import MeshError
from mesh.storage import Row, Store, StoreUnavailable, address, migrations, open_store
from mesh.storage._base import Statement
from mesh.telemetry import Meters, NullTracer
from sequencer import ledger
from sequencer.allocation import Allocator
from sequencer.app import BLUEPRINT
from sequencer.definition import Definition, Kind
from sequencer.directory import Admit, Directory
from sequencer.entry import Entry, Witness
from sequencer.journal import WitnessJournal
from sequencer.ledger import Wish
from sequencer.look import Apart
from sequencer.plans import Plans
from sequencer.store import HomeLog, SqlCatalogue, SqlLog
from sequencer.store._ahead import KEPT_S, LooksAhead
from sequencer.store._floors import Floor, Floors
from sequencer.store._looks import SqlLooks
from sequencer.witnesses import Peers, Witnesses
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


async def moved(directory: Directory, log: HomeLog, store: Counting) -> Definition:
    """A sequence whose log goes on elsewhere, up to 5,000 at most."""
    known = await made(directory, log)
    tip = await log.tip(known.uid)
    assert tip is not None
    floor = Floor(lineage=7, position=5_000, number=900, epoch=0, capacity=known.capacity)
    told = ledger.changed(tip, "mesh:sequencer/log", "moved", directory.stamp())
    await Floors(store).move(known.uid, None, floor, after=tip, entries=[told])
    return known


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
    known = await moved(directory, log, store)

    look = await log.looks.named(known.name)

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

    async def slow(name: str, admit: Admit | None = None) -> Definition:
        found = await definition(name, admit)
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


class Saw:
    """Another server, which has seen an entry."""

    def __init__(self, witness: Witness) -> None:
        self._witness = witness

    async def witnesses(self, _name: str, *, patient: bool = True) -> Sequence[Witness]:
        return [self._witness]


async def granted(
    directory: Directory, log: HomeLog, folder: Path, peers: Peers | None = None
) -> Entry:
    """A grant of "shop.order" by a server that has just started."""
    with WitnessJournal(folder / "witness.db") as journal:
        witnesses = Witnesses(log, journal, peers or Nobody())
        plan = Plans(log, witnesses).grant(Wish(holder="shop/1", size=10))
        async with Allocator(directory, log, witnesses, Meters(), looks=log.looks) as allocator:
            _, entry = await allocator.append("shop.order", plan)
    assert entry is not None
    return entry


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


async def test_a_server_that_has_looked_ahead_grants_by_its_append_alone(
    directory: Directory, log: HomeLog, store: Counting, tmp_path: Path
) -> None:
    """What it knows of the sequence is what one look would have shown."""
    known = await made(directory, log)
    seen = await log.looks.named(known.name)
    await log.looks.read()
    before = store.reads

    assert await log.looks.named(known.name) == seen
    entry = await granted(directory, log, tmp_path)

    assert (entry.position, entry.tip.epoch, store.reads - before) == (10, 0, 0)


async def test_who_looked_ahead_of_another_servers_append_looks_again(
    directory: Directory, log: HomeLog, store: Counting, tmp_path: Path
) -> None:
    """Its own append fails then, and no id is granted twice."""
    known = await made(directory, log)
    await log.looks.read()
    tip = await log.tip(known.uid)
    assert tip is not None
    wish = Wish(holder="shop/2", size=10)
    await log.append(known.uid, tip, [ledger.grant(known, tip, wish, directory.stamp())])

    entry = await granted(directory, log, tmp_path)

    assert (entry.position, entry.tip.epoch) == (20, 0)
    assert (await log.looks.named(known.name)).tip == entry.tip


async def test_who_looked_ahead_asks_for_witnesses_all_the_same(
    directory: Directory, log: HomeLog, tmp_path: Path
) -> None:
    """Another server saw an entry that the log has lost; the fence jumps behind it."""
    await made(directory, log)
    await log.looks.read()
    lost = Witness(number=9, mark=1, epoch=0, position=5_000)

    entry = await granted(directory, log, tmp_path, Saw(lost))

    assert (entry.position, entry.tip.epoch) == (5_000, 1)


async def test_a_look_ahead_is_bounded_and_leaves_periods_of_serials_for_last(
    directory: Directory, log: HomeLog, store: Counting
) -> None:
    """The newest sequences come first; what is not among them is looked at when asked for."""
    later = BEGIN + timedelta(days=1)
    await directory.add(defined("shop.old"), "ops/rpc")
    await directory.add(defined("shop.new", create_time=later), "ops/rpc")
    await directory.add(defined("shop.old@20261127", parent=1, create_time=later), "ops/rpc")
    await directory.add(defined("shop.row", Kind.GAPLESS, create_time=later), "ops/rpc")
    reads = {}
    for most in (1, 2, 3):
        ahead = LooksAhead(SqlLooks(store, Apart(directory, log)), ManualClock(), most=most)
        await ahead.read()
        for name in ("shop.new", "shop.old", "shop.old@20261127", "shop.row"):
            before = store.reads
            await ahead.named(name)
            reads[most, name] = store.reads - before

    assert [most for most in (1, 2, 3) if not reads[most, "shop.new"]] == [1, 2, 3]
    assert [most for most in (1, 2, 3) if not reads[most, "shop.old"]] == [2, 3]
    assert [most for most in (1, 2, 3) if not reads[most, "shop.old@20261127"]] == [3]
    assert [most for most in (1, 2, 3) if not reads[most, "shop.row"]] == []


async def test_a_log_that_went_on_elsewhere_is_not_looked_at_ahead(
    directory: Directory, log: HomeLog, store: Counting
) -> None:
    """It has to come back first."""
    known = await moved(directory, log, store)
    await log.looks.read()

    assert (await log.looks.named(known.name)).tip.position == 5_000


async def test_what_was_seen_ahead_is_forgotten(
    directory: Directory, log: HomeLog, store: Counting
) -> None:
    """After a minute each sequence is looked at when it is asked for."""
    known = await made(directory, log)
    clock = ManualClock()
    ahead = LooksAhead(SqlLooks(store, Apart(directory, log)), clock)
    await ahead.read()
    reads = []
    for seconds in (KEPT_S - 0.001, 0.001):
        clock.advance(seconds)
        before = store.reads
        await ahead.named(known.name)
        reads.append(store.reads - before)

    assert reads == [0, 1]


async def test_a_store_that_fails_while_a_server_looks_ahead_is_asked_later(
    directory: Directory, log: HomeLog, store: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readiness does not hang on it."""
    known = await made(directory, log)

    async def failing(*_: Any) -> AsyncIterator[Sequence[Row]]:
        raise StoreUnavailable("too many scans are open")
        yield ()

    monkeypatch.setattr(store, "scan", failing, raising=False)
    await log.looks.read()

    assert (await log.looks.named(known.name)).definition == known


async def test_warming_leaves_no_trace(log: HomeLog) -> None:
    """It appends behind an entry that no log has."""
    async with log:
        assert await log.tip(0) is None
