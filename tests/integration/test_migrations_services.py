"""The revisions of every service, on MariaDB and on SQLite."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cli import compose
from cli.db import schema
from loadtests.servers import MariaDb, ServerError
from mesh.service import Blueprint
from mesh.storage import Address, MySQLAddress, migrations

SERVICES = {
    name: service
    for name, service in compose.blueprints(demo=True).items()
    if service.migrations is not None
}


def upgraded(address: Address, service: Blueprint) -> None:
    assert service.migrations is not None
    migrations.upgrade(address, service.migrations)
    migrations.check(address, service.migrations, schema(service))


@pytest.mark.parametrize("name", SERVICES)
def test_a_file_has_the_tables_that_the_statements_see(name: str, tmp_path: Path) -> None:
    """The revisions of each service make exactly its tables on SQLite."""
    upgraded(tmp_path / f"{name}.db", SERVICES[name])


@pytest.mark.real
@pytest.mark.parametrize("name", SERVICES)
def test_a_server_has_the_tables_that_the_statements_see(
    name: str, mariadb: MariaDb, caplog: pytest.LogCaptureFixture
) -> None:
    """The revisions of each service make exactly its tables on MariaDB, without a warning."""
    database = f"migrated_{name}"
    address = MySQLAddress(host="127.0.0.1", port=mariadb.port, user="root", database=database)
    upgraded(address, SERVICES[name])
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert mariadb.query(
        "SELECT DISTINCT table_collation FROM information_schema.tables "
        f"WHERE table_schema = '{database}'"
    ) == [["utf8mb4_nopad_bin"]]


ENTRY = "event_id, source, record, seal, actor, branch_id, customer_id, task_id, verb"


@pytest.mark.real
def test_the_behaviour_log_only_grows_on_a_server(mariadb: MariaDb) -> None:
    """Changes, removals and gaps are refused by the database, whoever tries."""
    name = "append_only"
    address = MySQLAddress(host="127.0.0.1", port=mariadb.port, user="root", database=name)
    upgraded(address, SERVICES["review"])
    values = "'e', 's', 'r', 's', 'a', 1, 1, 1, 'v'"
    mariadb.query(
        f"INSERT INTO behavior (position, {ENTRY}) VALUES (1, {values}), (2, {values})", name
    )
    for attempt in (
        "UPDATE behavior SET actor = 'nobody'",
        "DELETE FROM behavior",
        f"REPLACE INTO behavior (position, {ENTRY}) VALUES (1, {values})",
        f"INSERT INTO behavior (position, {ENTRY}) VALUES (9, {values})",
    ):
        with pytest.raises(ServerError, match="append-only"):
            mariadb.query(attempt, name)
    assert mariadb.query("SELECT COUNT(*) FROM behavior", name) == [["2"]]
