"""The revisions of every service, on MariaDB and on SQLite."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from cli import compose
from cli.db import schema
from loadtests.servers import MariaDb
from mesh.service import Blueprint
from mesh.storage import migrations
from mesh.storage._address import Address, MySQLAddress

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
