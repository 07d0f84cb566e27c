"""The database file and what lies beside it."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Final

from mesh.storage._errors import StoreUnavailable
from mesh.storage._sqlite._errors import FOREIGN, primary_code, translate

MODE: Final = 0o600
RETRY_S: Final = 0.001


def create(path: Path, busy_timeout_s: float) -> None:
    """Make sure that the database exists, is readable by its owner alone and keeps a WAL.

    Raises:
        StoreUnavailable: it cannot be opened, or stays locked.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _make_private(path)
    except OSError as error:
        raise StoreUnavailable(f"the database file cannot be made: {error.strerror}") from error
    _keep_wal(path, time.monotonic() + busy_timeout_s)


def _make_private(path: Path) -> None:
    # Never opened and closed when it exists: closing any descriptor of a file
    # drops every POSIX lock that the process holds on it.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE))
    except FileExistsError:
        path.chmod(MODE)


def _keep_wal(path: Path, until: float) -> None:
    while True:
        try:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute("PRAGMA journal_mode = WAL").fetchall()
                return
        except FOREIGN as error:
            # SQLite does not wait by itself while another process switches modes.
            if primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise translate(error) from error
            time.sleep(RETRY_S)


def wal_bytes(path: Path) -> int:
    """Size of the write-ahead log; 0 when there is none."""
    try:
        return path.with_name(f"{path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0
