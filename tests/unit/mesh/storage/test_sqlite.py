"""The SQLite store as a whole: its file, its bounds, its spans and its housekeeping."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Self

import pytest
import sqlalchemy as sa
from google.protobuf.wrappers_pb2 import StringValue

from mesh.clock import ManualClock
from mesh.storage import (
    IdempotentCall,
    IntegrityViolation,
    SQLiteOptions,
    SQLiteStore,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
    idempotent_call,
)
from mesh.telemetry import Meters, NullSpan, NullTracer, Span, SpanKind, TraceContext

OpenStore = Callable[..., SQLiteStore]

ENDLESS = "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c) SELECT max(x) FROM c"
RECORDS = sa.text("SELECT * FROM engine_idempotency")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def write(path: Path, content: bytes, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


async def test_the_file_is_for_its_owner_alone(store: SQLiteStore, path: Path) -> None:
    """The database and what SQLite writes beside it can be read by nobody else."""
    files = [path, path.with_name("test.db-wal"), path.with_name("test.db-shm")]
    assert [mode(file) for file in files] == [0o600] * 3


async def test_an_open_file_is_made_private(open_store: OpenStore, path: Path) -> None:
    """A database that others could read is no longer so."""
    write(path, b"", 0o644)
    async with open_store():
        assert mode(path) == 0o600


@pytest.mark.parametrize(("synchronous", "number"), [("NORMAL", 1), ("FULL", 2)])
async def test_the_database_is_synced_as_asked(
    open_store: OpenStore, synchronous: str, number: int
) -> None:
    """The writing connection syncs as told, keeps a WAL and checks foreign keys."""
    async with open_store(synchronous=synchronous) as store, store.transaction() as tx:
        for pragma, value in (
            ("synchronous", number),
            ("journal_mode", "wal"),
            ("foreign_keys", 1),
        ):
            assert (await tx.fetch_all(sa.text(f"PRAGMA {pragma}")))[0][0] == value


def test_no_other_way_to_sync_is_known(path: Path) -> None:
    """A misspelt setting does not weaken the database."""
    with pytest.raises(ValueError, match="NORMAL or FULL"):
        SQLiteStore(path, synchronous="OFF", tracer=NullTracer())


async def test_what_is_not_a_database_is_refused(open_store: OpenStore, path: Path) -> None:
    """Nothing stays open after it."""
    write(path, b"not a database" * 100, 0o600)
    with pytest.raises(StoreUnavailable):
        await open_store().__aenter__()


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """The error is the store's own."""
    write(tmp_path / "file", b"", 0o600)
    with pytest.raises(StoreUnavailable):
        await SQLiteStore(tmp_path / "file" / "x.db", tracer=NullTracer()).__aenter__()


async def test_a_runaway_read_is_stopped(open_store: OpenStore) -> None:
    """The error says what to use instead, and the next read works."""
    async with open_store(options=SQLiteOptions(statement_limit_s=0.02)) as store:
        with pytest.raises(StatementTooSlow, match="scan"):
            await store.fetch_all(sa.text(ENDLESS))
        assert (await store.fetch_all(sa.text("SELECT 1")))[0][0] == 1


async def test_a_statement_that_did_little_is_not_ended(open_store: OpenStore) -> None:
    """However much time the machine took for it; one that did more is."""
    async with open_store(options=SQLiteOptions(statement_limit_s=0.02)) as store:
        assert (await store.fetch_all(sa.text(counting_to(200_000))))[0][0] == 200_000
        with pytest.raises(StatementTooSlow):
            await store.fetch_all(sa.text(counting_to(10_000_000)))


def counting_to(last: int) -> str:
    """A statement that takes some ten steps for each number."""
    steps = f"SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {last}"
    return f"WITH RECURSIVE numbers (n) AS ({steps}) SELECT MAX(n) FROM numbers"


async def test_a_runaway_read_within_a_transaction_keeps_its_changes(
    open_store: OpenStore, item: sa.Table
) -> None:
    """The block may catch it and go on."""
    async with open_store(options=SQLiteOptions(statement_limit_s=0.02)) as store:
        async with store.transaction() as tx:
            await tx.execute(sa.schema.CreateTable(item))
            await tx.execute(sa.insert(item), {"id": 1})
            with pytest.raises(StatementTooSlow):
                await tx.fetch_all(sa.text(ENDLESS))
        assert len(await store.fetch_all(sa.select(item))) == 1


async def test_foreign_keys_hold(store: SQLiteStore) -> None:
    """A row that points nowhere is refused at once, if its key is not deferred."""
    async with store.transaction() as tx:
        await tx.execute(sa.text("CREATE TABLE child (item_id INTEGER REFERENCES item (id))"))
    with pytest.raises(IntegrityViolation) as caught:
        async with store.transaction() as tx:
            await tx.execute(sa.text("INSERT INTO child VALUES (7)"))
    assert caught.value.kind == "foreign_key"


async def test_a_changing_statement_can_answer_rows(store: SQLiteStore, item: sa.Table) -> None:
    """RETURNING gives the new values; only here: MySQL does not have it."""
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), {"id": 1, "n": 5})
        changed = sa.update(item).values(n=item.c.n + 1).returning(item.c.id, item.c.n)
        assert [tuple(row) for row in await tx.fetch_all(changed)] == [(1, 6)]


async def test_numbers_are_counted(store: SQLiteStore, item: sa.Table, meters: Meters) -> None:
    """Transactions that were kept, commits, and the size of the log."""
    before = meters.counter("storage.transactions").value
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), {"id": 1})
    with pytest.raises(IntegrityViolation):
        async with store.transaction() as tx:
            await tx.execute(sa.insert(item), {"id": 1})
    assert meters.counter("storage.transactions").value == before + 1
    assert meters.gauges["storage.wal_bytes"]() > 0


class Recorder:
    """A tracer that keeps what it was told."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, SpanKind, dict[str, object]]] = []

    def root(self) -> TraceContext:
        return TraceContext.root(sampled=True)

    def span(self, name: str, kind: SpanKind, parent: TraceContext) -> Span:
        attributes: dict[str, object] = {}
        self.spans.append((name, kind, attributes))
        return RecordedSpan(parent, attributes)


class RecordedSpan(NullSpan):
    __slots__ = ("attributes",)

    def __init__(self, context: TraceContext, attributes: dict[str, object]) -> None:
        super().__init__(context)
        self.attributes = attributes

    def set(self, key: str, value: str | float | bool) -> None:
        self.attributes[key] = value

    def __enter__(self) -> Self:
        super().__enter__()
        return self


async def work(store: SQLiteStore, item: sa.Table) -> None:
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), {"id": 1})
    await store.fetch_all(sa.select(item).where(item.c.id == 1))


async def test_a_sampled_trace_has_a_span_for_each_statement(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table
) -> None:
    """Their attributes are the system and the operation, never a value."""
    recorder = Recorder()
    async with open_store(tracer=recorder) as traced:
        with NullSpan(TraceContext.root(sampled=True)):
            await work(traced, item)
    assert [name for name, _, _ in recorder.spans] == [
        "sql INSERT item",
        "sql COMMIT",
        "sql SELECT item",
    ]
    assert {kind for _, kind, _ in recorder.spans} == {SpanKind.CLIENT}
    assert [attributes for _, _, attributes in recorder.spans] == [
        {"db.system": "sqlite", "db.operation": operation}
        for operation in ("INSERT", "COMMIT", "SELECT")
    ]


async def test_no_span_is_made_for_others(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table
) -> None:
    """Neither outside any trace nor in one that is not sampled."""
    recorder = Recorder()
    async with open_store(tracer=recorder) as traced:
        await work(traced, item)
        with NullSpan(TraceContext.root(sampled=False)):
            await traced.fetch_all(sa.select(item))
    assert recorder.spans == []


async def answer(store: SQLiteStore, request_id: str) -> None:
    call = IdempotentCall(
        caller="rm001", method="/bank/Open", request_id=request_id, request_hash=b"1"
    )
    token = idempotent_call.set(call)
    async with store.transaction() as tx:
        tx.answer(StringValue(value="done"))
    idempotent_call.reset(token)


async def until_records_are(store: SQLiteStore, number: int) -> None:
    async with asyncio.timeout(30):
        while len(await store.fetch_all(RECORDS)) != number:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_old_answers_go_when_the_store_opens(open_store: OpenStore) -> None:
    """Those older than a day are removed, younger ones kept."""
    clock = ManualClock()
    async with open_store(clock=clock) as store:
        await answer(store, "old")
        clock.advance(timedelta(hours=12).total_seconds())
        await answer(store, "young")
    clock.advance(timedelta(hours=13).total_seconds())
    async with open_store(clock=clock) as store:
        await until_records_are(store, 1)
        assert (await store.fetch_all(RECORDS))[0].request_id == "young"


async def test_old_answers_go_while_the_store_is_open(open_store: OpenStore) -> None:
    """The removal is repeated."""
    clock = ManualClock()
    async with open_store(clock=clock, options=SQLiteOptions(purge_every_s=0.001)) as store:
        await answer(store, "old")
        clock.advance(timedelta(hours=25).total_seconds())
        await until_records_are(store, 0)


async def test_a_removal_that_fails_is_tried_again(
    open_store: OpenStore, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The failure is logged; the store serves on and removes them later."""
    clock = ManualClock()
    options = SQLiteOptions(purge_every_s=0.001, busy_timeout_s=0.001)
    async with open_store(clock=clock, options=options) as store:
        await answer(store, "old")
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            clock.advance(timedelta(hours=25).total_seconds())
            async with asyncio.timeout(30):
                while not caplog.records:  # noqa: ASYNC110
                    await asyncio.sleep(0)
        await until_records_are(store, 0)


async def test_many_old_answers_go_in_batches(open_store: OpenStore, meters: Meters) -> None:
    """No single removal holds the writer for long."""
    clock = ManualClock()
    async with open_store(clock=clock) as store:
        async with store.transaction() as tx:
            insert = sa.text(
                "INSERT INTO engine_idempotency VALUES ('rm', '/m', :n, x'00', x'00', :n)"
            )
            await tx.execute(insert, [{"n": number} for number in range(1_200)])
        commits = meters.counter("storage.commits").value
    async with open_store(clock=clock) as store:
        await until_records_are(store, 0)
    assert meters.counter("storage.commits").value - commits >= 3


async def test_a_store_opens_again_as_it_was_left(
    open_store: OpenStore, store: SQLiteStore, item: sa.Table
) -> None:
    """Two stores on one file see each other's commits."""
    async with store.transaction() as tx:
        await tx.execute(sa.insert(item), {"id": 1})
    async with open_store() as second:
        assert len(await second.fetch_all(sa.select(item))) == 1
        async with second.transaction() as tx:
            await tx.execute(sa.insert(item), {"id": 2})
    assert len(await store.fetch_all(sa.select(item))) == 2


async def test_values_the_database_cannot_take_are_storage_errors(
    store: SQLiteStore, item: sa.Table
) -> None:
    """Whatever the driver raises for them, in a transaction as well."""
    for value in (object(), 2**64, "\ud800"):
        with pytest.raises(StorageError):
            await store.fetch_all(
                sa.select(item).where(item.c.id == sa.bindparam("id")), {"id": value}
            )
    with pytest.raises(StorageError):
        async with store.transaction() as tx:
            await tx.execute(sa.insert(item), [{"id": 1}, {"id": 2**64}])
    assert await store.fetch_all(sa.select(item)) == []
