"""Examines the database server: what it is, what it lets us do, how it is set."""

from __future__ import annotations

import re
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import asyncmy
from asyncmy.errors import MySQLError

from cli.checkup.clocks import compared
from cli.checkup.finding import Finding, fail, graded, ok, warn
from mesh.settings import Settings
from mesh.storage import mysql_address

PACKET_BYTES: Final = 16 << 20
"""The largest message that a service takes has to fit into a statement."""

BESIDE_POOL: Final = 4
"""Connections of a process beside those for reads: writing, passing events on, scanning."""

_OLDEST: Final = {"MariaDB": (10, 6), "MySQL": (8, 0), "TiDB": (7, 5)}
_VARIABLES: Final = ("max_allowed_packet", "innodb_flush_log_at_trx_commit", "max_connections")


async def examine(settings: Settings, processes: int) -> AsyncIterator[Finding]:
    """Ask the server; makes an empty database and drops it, to see whether it may.

    Args:
        settings: where it is.
        processes: how many processes will open connections.
    """
    async with _server(settings) as ask:
        version = (await ask("SELECT VERSION()"))[0][0]
        yield ok("database", f"{settings.database_url} answers")
        yield _version(version)
        yield await _clock(ask)
        yield await _rights(ask, settings)
        yield await _locks(ask)
        yield await _collations(ask, settings, version)
        for finding in _tuning(await _variables(ask), settings, processes, kind(version)):
            yield finding


class _Ask:
    """Sends statements over one connection."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def __call__(self, sql: str) -> list[tuple[Any, ...]]:
        async with self._connection.cursor() as cursor:
            await cursor.execute(sql)
            return list(await cursor.fetchall())


@asynccontextmanager
async def _server(settings: Settings) -> AsyncIterator[_Ask]:
    where = mysql_address(settings, "")
    connection = await asyncmy.connect(
        host=where.host,
        port=where.port,
        user=where.user,
        password=where.password,
        ssl=ssl.create_default_context(cafile=str(where.ca)) if where.ca else None,
        autocommit=True,
    )
    try:
        yield _Ask(connection)
    finally:
        connection.close()


def kind(version: str) -> str:
    """MariaDB, MySQL or TiDB, by what the server calls itself."""
    return next((name for name in ("TiDB", "MariaDB") if name in version), "MySQL")


def _version(version: str) -> Finding:
    name = kind(version)
    oldest = ".".join(map(str, _OLDEST[name]))
    told = version.partition("TiDB-v")[2] if name == "TiDB" else version
    numbers = re.match(r"(\d+)\.(\d+)", told.removeprefix("5.5.5-"))
    found = f"{name} {told}"
    if numbers is None or (int(numbers[1]), int(numbers[2])) < _OLDEST[name]:
        return fail("database version", found, f"Use {name} {oldest} or newer.")
    if name == "MariaDB":
        return ok("database version", found)
    return warn(
        "database version",
        found,
        "Our statements keep to what it knows, but our tests run on MariaDB: try it out first.",
    )


async def _clock(ask: _Ask) -> Finding:
    asked = time.time()
    theirs = (await ask("SELECT UNIX_TIMESTAMP(NOW(6))"))[0][0]
    return compared("database clock", float(theirs), asked)


async def _rights(ask: _Ask, settings: Settings) -> Finding:
    """Whether the user may make databases and tables called as ours are."""
    scratch = f"`{settings.database_prefix}doctor_{secrets.token_hex(4)}`"
    pattern = settings.database_prefix.replace("_", "\\_")
    try:
        await ask(f"CREATE DATABASE {scratch}")
        try:
            await ask(f"CREATE TABLE {scratch}.t (id INT PRIMARY KEY, KEY (id))")
            await ask(f"ALTER TABLE {scratch}.t ADD COLUMN n INT")
            await ask(f"INSERT INTO {scratch}.t VALUES (1, 1)")  # noqa: S608 - a name of our own
        finally:
            await ask(f"DROP DATABASE {scratch}")
    except MySQLError as error:
        return fail(
            "database rights",
            str(error),
            f"GRANT ALL ON `{pattern}%`.* TO the user of ENGINE_DATABASE_URL.",
        )
    return ok("database rights", f"makes and changes {settings.database_prefix}…")


async def _locks(ask: _Ask) -> Finding:
    name = f"engine_doctor_{secrets.token_hex(4)}"
    got = (await ask(f"SELECT GET_LOCK('{name}', 0)"))[0][0]
    await ask(f"SELECT RELEASE_LOCK('{name}')")
    advice = "GET_LOCK must work: migrations and the passing on of events hold such a lock."
    return graded("database locks", f"GET_LOCK answers {got}", advice, bad=False, worse=got != 1)


async def _collations(ask: _Ask, settings: Settings, version: str) -> Finding:
    expected = "utf8mb4_nopad_bin" if kind(version) == "MariaDB" else "utf8mb4_0900_bin"
    rows = await ask("SELECT schema_name, default_collation_name FROM information_schema.schemata")
    ours = {name: found for name, found in rows if name.startswith(settings.database_prefix)}
    others = sorted(f"{name}: {found}" for name, found in ours.items() if found != expected)
    if not await ask(f"SHOW COLLATION LIKE '{expected}'"):
        return fail("collation", f"no {expected}", "Use a server that has it.")
    return graded(
        "collation",
        ", ".join(others) or f"{expected} in {len(ours)} databases",
        f"ALTER DATABASE … CHARACTER SET utf8mb4 COLLATE {expected}, and its tables likewise: "
        "texts must compare by their bytes.",
        bad=False,
        worse=bool(others),
    )


async def _variables(ask: _Ask) -> Mapping[str, int]:
    names = ", ".join(f"'{name}'" for name in _VARIABLES)
    rows = await ask(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})")
    return {name: int(value) for name, value in rows}


def _tuning(
    found: Mapping[str, int], settings: Settings, processes: int, name: str
) -> list[Finding]:
    needed = processes * (settings.database_pool + BESIDE_POOL)
    packet = found.get("max_allowed_packet", PACKET_BYTES)
    connections = found.get("max_connections", 0)  # TiDB: 0 is without limit
    flush = 1 if name == "TiDB" else found.get("innodb_flush_log_at_trx_commit", 1)
    return [
        graded(
            "database packet",
            f"max_allowed_packet is {packet / (1 << 20):g} MiB",
            f"Set max_allowed_packet to {PACKET_BYTES >> 20}M or more.",
            bad=packet < PACKET_BYTES,
        ),
        graded(
            "database durability",
            f"innodb_flush_log_at_trx_commit is {flush}",
            "Set it to 1: what was acknowledged is lost with the power otherwise.",
            bad=False,
            worse=flush != 1,
        ),
        graded(
            "database connections",
            f"max_connections is {connections or 'without limit'}, "
            f"{processes} processes open up to {needed}",
            f"Set max_connections to {needed} or more, or lower ENGINE_DATABASE_POOL.",
            bad=0 < connections < needed,
        ),
    ]
