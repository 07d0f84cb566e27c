"""What the store on MySQL does by itself, without a server."""

from __future__ import annotations

import asyncio
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

import pytest
import sqlalchemy as sa
import uvloop
from asyncmy import errors
from sqlalchemy.schema import CreateTable

from mesh.storage import (
    IntegrityViolation,
    MySQLOptions,
    StatementTooSlow,
    StorageError,
    StoreUnavailable,
    open_store,
)
from mesh.storage._address import MySQLAddress
from mesh.storage._mysql._errors import ConnectionLost, translate
from mesh.storage._mysql._server import Dialect
from mesh.storage._mysql._session import Kind, set_up
from mesh.storage._mysql._values import number, plain
from mesh.storage._mysql._watch import Watch
from mesh.storage._mysql._writer import _batches
from mesh.storage._statements import Statements
from mesh.telemetry import NullTracer

TRIES = 20

ITEMS = sa.Table(
    "item",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("code", sa.String(20), unique=True),
    sa.Column("key", sa.LargeBinary(32)),
    sa.Column("body", sa.LargeBinary(2 << 20)),
    sa.Column("text", sa.Text),
    sa.Column("share", sa.Float),
    sa.Index("item_text", "code", "key", unique=True),
)


class Level(IntEnum):
    """A number with a name."""

    HIGH = 3


class Name(str):
    """A string of a type of its own."""

    __slots__ = ()

    def __str__(self) -> str:
        return "another"


def test_who_embeds_the_database_does_not_load_the_driver() -> None:
    """It would be paid for at each start."""
    check = "import sys, mesh.storage; assert 'asyncmy' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True, timeout=60)


def test_types_are_as_wide_as_those_of_sqlite() -> None:
    """The short binary may be part of a key; the others hold what comes."""
    text = str(CreateTable(ITEMS).compile(dialect=Dialect()))
    for column in ("VARBINARY(32)", "body LONGBLOB", "text LONGTEXT", "share DOUBLE"):
        assert column in text


def test_percent_signs_of_a_statement_are_no_parameters() -> None:
    """The driver puts values in by `%`."""
    statement = sa.text("SELECT id % 10 FROM item WHERE code LIKE '%x' AND id = :id")
    text, values = Statements(Dialect()).prepare(statement, {"id": 1}).bind({"id": 1})
    assert text == "SELECT id %% 10 FROM item WHERE code LIKE '%%x' AND id = %s"
    assert values == [1]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Level.HIGH, 3),
        (Name("mine"), "mine"),
        (bytearray(b"x"), b"x"),
        (memoryview(b"x"), b"x"),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (-(2**63), -(2**63)),
        (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_values_come_to_the_driver_in_types_it_quotes(value: Any, expected: Any) -> None:
    """It goes by the exact type, and would write the name of one that it does not know."""
    (found,) = plain([value])
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize("value", [2**63, float("inf"), float("nan"), [1], {1}, {"a": 1}, object()])
def test_other_values_are_refused(value: Any) -> None:
    """Not written as something else."""
    with pytest.raises(StorageError):
        plain([value])


def test_decimals_are_numbers() -> None:
    """A whole one stays whole."""
    assert [number(text) for text in ("12", b"-3", "0.5", b"1.0")] == [12, -3, 0.5, 1.0]
    assert type(number(b"12")) is int


@pytest.mark.parametrize(
    ("code", "text", "kind", "columns"),
    [
        (1062, "Duplicate entry 'v' for key 'PRIMARY'", "unique", ("item.id",)),
        (1062, "Duplicate entry 'it's for key ' for key 'code'", "unique", ("item.code",)),
        (1062, "Duplicate entry 'v' for key 'item.item_text'", "unique", ("item.code", "item.key")),
        (1062, "Duplicate entry 'v' for key 'other'", "unique", ()),
        (1048, "Column 'code' cannot be null", "not_null", ("item.code",)),
        (1364, "Field 'code' doesn't have a default value", "not_null", ("item.code",)),
        (1452, "Cannot add or update a child row", "foreign_key", ()),
        (4025, "CONSTRAINT `x` failed", "check", ()),
        (3819, "Check constraint 'x' is violated.", "check", ()),
    ],
)
def test_violations_are_told_apart(
    code: int, text: str, kind: str, columns: tuple[str, ...]
) -> None:
    """With the columns, where the server names a key that the table has."""
    found = translate(errors.IntegrityError(code, text), ITEMS)
    assert isinstance(found, IntegrityViolation)
    assert (found.kind, found.columns) == (kind, columns)
    nowhere = translate(errors.IntegrityError(code, text))
    assert isinstance(nowhere, IntegrityViolation)
    assert nowhere.columns == ()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (2006, ConnectionLost),
        (2013, ConnectionLost),
        (1205, StoreUnavailable),
        (1213, StoreUnavailable),
        (1040, StoreUnavailable),
        (1969, StatementTooSlow),
        (3024, StatementTooSlow),
        (1406, StorageError),
        (1064, StorageError),
        (60_000, StorageError),
    ],
)
def test_errors_are_named_and_quote_nothing(code: int, expected: type[StorageError]) -> None:
    """The server's words have values in them."""
    found = translate(errors.OperationalError(code, "near 'secret'"))
    assert type(found) is expected
    assert "secret" not in str(found)


@pytest.mark.parametrize("version", ["5.5.5-10.11.6-MariaDB", "8.0.36", "8.0.11-TiDB-v7.5.0"])
def test_every_server_gets_a_session_it_knows(version: str) -> None:
    """Strict, in UTC, bounded; only readers are kept from writing."""
    mariadb, tidb = "MariaDB" in version, "TiDB" in version
    options = MySQLOptions(timeout_s=2.0)
    for kind in Kind:
        text = set_up(version, kind, options)
        assert "STRICT_ALL_TABLES" in text
        assert "time_zone = '+00:00'" in text
        assert ("utf8mb4_nopad_bin" in text) == mariadb
        bounded = kind in (Kind.READ, Kind.WRITE, Kind.SINGLE)
        assert ("max_statement_time = 1.600" in text) == (bounded and mariadb)
        assert ("max_execution_time = 1600" in text) == (bounded and not mariadb)
        assert ("READ ONLY" in text) == (kind in (Kind.READ, Kind.SCAN) and not tidb)
        assert ("REPEATABLE READ" in text) == (kind is Kind.SCAN)


def test_events_go_in_batches_of_bounded_size() -> None:
    """All of them, in their order; one that is larger goes alone."""
    events = [b"a" * size for size in (3, 4, 4, 20, 1, 1)]
    batches = [[len(event) for event in batch] for batch in _batches(events, 8)]
    assert batches == [[3, 4], [4], [20], [1, 1]]


async def test_a_watch_acts_when_it_is_too_late() -> None:
    """Not for what ended in time; the shorter limit counts, whatever was set before."""
    loop = asyncio.get_running_loop()
    acted = asyncio.Event()
    watch = Watch(acted.set)
    watch.begin(loop.time(), 60.0)
    watch.end()
    for _ in range(3):
        watch.begin(loop.time(), 0.01)
        watch.end()
    await asyncio.sleep(0.03)
    assert not watch.is_over
    watch.begin(loop.time(), 0.01)
    async with asyncio.timeout(30):
        await acted.wait()
    assert watch.is_over
    watch.close()


def test_a_server_that_hangs_up_at_once_cannot_be_reached() -> None:
    """Also when the driver finds the socket gone before it says a word."""
    told = uvloop.run(_told_by_who_hangs_up())
    assert len(told) == TRIES


async def _told_by_who_hangs_up() -> list[str]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        hanging_up = asyncio.create_task(_hang_up(listener))
        port = listener.getsockname()[1]
        place = MySQLAddress(host="127.0.0.1", port=port, user="engine", database="engine")
        told = []
        for _ in range(TRIES):
            with pytest.raises(StoreUnavailable) as refused:
                async with open_store(place, tracer=NullTracer()):
                    pass
            told.append(str(refused.value))
        hanging_up.cancel()
    return told


async def _hang_up(listener: socket.socket) -> None:
    """End each connection within the turn of the loop in which it is made."""
    at_once = struct.pack("ii", 1, 0)
    while True:
        with suppress(BlockingIOError):
            peer, _ = listener.accept()
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
            peer.close()
        await asyncio.sleep(0)
