"""Stores put back to an older state, as after a restore from a backup."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from loadtests.servers import Server


def copy_sqlite(database: Path, to: Path) -> None:
    """A consistent copy of a database that may be in use."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(to)) as sink:
        source.backup(sink)


def put_back_sqlite(copy: Path, database: Path) -> None:
    """Replace a database that nobody has open by a copy of it."""
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    shutil.copyfile(copy, database)


def copy_server(server: Server, to: Path) -> None:
    """A copy of all that a server has; it is stopped for it and started again."""
    with _stopped(server):
        shutil.copytree(server.folder, to, ignore=shutil.ignore_patterns("sock", "pid"))


def put_back_server(copy: Path, server: Server) -> None:
    """Replace all that a server has by a copy; it is stopped for it and started again."""
    with _stopped(server):
        shutil.rmtree(server.folder)
        shutil.copytree(copy, server.folder)


@contextmanager
def _stopped(server: Server) -> Iterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()
