"""A store that was put back to a copy has what the copy had, and nothing later."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from loadtests.servers import MariaDb, Redis
from tests.fault.copies import copy_server, copy_sqlite, put_back_server, put_back_sqlite


def test_an_sqlite_database_goes_back(tmp_path: Path) -> None:
    """A copy is taken while it is in use; what came after it is gone once it is put back."""
    database, copy = tmp_path / "a.db", tmp_path / "copy.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (n)")
        connection.execute("INSERT INTO t VALUES (1)")
        copy_sqlite(database, copy)
        connection.execute("INSERT INTO t VALUES (2)")
    put_back_sqlite(copy, database)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT n FROM t").fetchall() == [(1,)]


@pytest.mark.real
def test_a_mariadb_goes_back(tmp_path: Path) -> None:
    """Its port and users stay; its rows are the older ones."""
    with MariaDb(tmp_path / "db") as server:
        server.query("CREATE DATABASE d; CREATE TABLE d.t (n INT); INSERT INTO d.t VALUES (1)")
        copy_server(server, tmp_path / "copy")
        server.query("INSERT INTO d.t VALUES (2)")
        put_back_server(tmp_path / "copy", server)
        assert server.query("SELECT n FROM d.t") == [["1"]]


@pytest.mark.real
def test_a_redis_goes_back(tmp_path: Path) -> None:
    """Its keys are those of the copy."""
    with Redis(tmp_path / "redis") as server:
        server.command("set", "a", "1")
        copy_server(server, tmp_path / "copy")
        server.command("set", "a", "2")
        put_back_server(tmp_path / "copy", server)
        assert server.command("get", "a") == "1"
