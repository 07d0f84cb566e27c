"""The SQLite file of a journal: opened by several processes, and begun anew when it is damaged."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mesh.log import get_logger
from sequencer.entry import Witness

BUSY_S: Final = 0.1
"""Longest wait for another process that writes; the caller waits with it."""

OPEN_S: Final = 1.0
"""Longest wait for another process that opens the file."""

CHECKPOINT_PAGES: Final = 4_000
"""Notes, roughly, after which one waits until the disk has them."""

PAGE_BYTES: Final = 512
"""Small: a note writes a page or two, and the one that waits for the disk waits for all."""

ASIDE: Final = ".damaged"
"""What a damaged file's name gets at its end; the one before it is given up."""

_LOOK_S: Final = 0.001
_NOT_NOW: Final = frozenset(
    {sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}
    | {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL}
    | {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_AUTH}
)
"""What another try may meet no more. All else says that the file is not what it should be."""

FOREIGN: Final = (sqlite3.DatabaseError, UnicodeError)
"""What is raised by a file that is locked, full or damaged, down to the text of the error."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS witness (
    sequence INTEGER PRIMARY KEY,
    number INTEGER, mark INTEGER, epoch INTEGER, position INTEGER, checksum INTEGER
)
"""
_NOTE: Final = """
INSERT INTO witness (sequence, number, mark, epoch, position, checksum) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (sequence) DO UPDATE SET
    number = excluded.number, mark = excluded.mark, epoch = excluded.epoch,
    position = excluded.position, checksum = excluded.checksum
WHERE (excluded.epoch, excluded.number) > (witness.epoch, witness.number)
"""
_ALL: Final = "SELECT sequence, number, mark, epoch, position, checksum FROM witness"
_ONE: Final = f"{_ALL} WHERE sequence = ?"

_log: Final = get_logger(__name__)


class WitnessFile:
    """The open file. What it raises is `FOREIGN`."""

    def __init__(self, path: Path) -> None:
        # Private from the first moment on; and never opened when it exists: closing any
        # descriptor of a file drops each lock that the process has on it.
        if not path.exists():
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path = path
        self._identity = _identity(path)
        self._raw = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        try:
            self._set_up()
        except BaseException:
            self._raw.close()
            raise

    @property
    def is_in_place(self) -> bool:
        """Whether it is still what lies there: another process may have put it aside."""
        return _identity(self._path) == self._identity

    def note(self, witnesses: Mapping[int, Witness]) -> None:
        """Keep what is newer than what it has."""
        rows = [_row(*each) for each in witnesses.items()]
        if len(rows) == 1:
            self._raw.execute(_NOTE, rows[0])
            return
        self._raw.execute("BEGIN IMMEDIATE")
        with self._raw:
            self._raw.executemany(_NOTE, rows)

    def witnesses(self, *of: int) -> Mapping[int, Witness]:
        """By their sequences: that of one, or all."""
        found = {}
        for row in self._raw.execute(_ONE if of else _ALL, of):
            sequence, number, mark, epoch, position, checksum = row
            if checksum != _checksum(row[:-1]):
                raise sqlite3.DatabaseError("a row is damaged")
            found[sequence] = Witness(number=number, mark=mark, epoch=epoch, position=position)
        return found

    def close(self) -> None:
        """Close it."""
        self._raw.close()

    def _set_up(self) -> None:
        self._raw.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        self._raw.execute("PRAGMA journal_mode = WAL").fetchall()
        self._raw.execute("PRAGMA synchronous = NORMAL")
        self._raw.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").fetchall()
        self._raw.execute(_TABLE)
        if self._raw.execute("PRAGMA quick_check(1)").fetchall() != [("ok",)]:
            raise sqlite3.DatabaseError("the check of the file found damage")
        self.witnesses()


def opened(path: Path) -> WitnessFile:
    """The file, or a fresh one after the damaged one was put aside.

    Raises:
        OSError: there can be no file now; or what is `FOREIGN`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.with_name(f"{path.name}.lock")):
        try:
            return WitnessFile(path)
        except FOREIGN as error:
            if not is_damage(error):
                raise
            _log.error("journal_damaged", path=str(path), error=str(error), put_aside=ASIDE)
        # The file itself last: what lies beside it must not be taken for a fresh one's.
        for end in ("-wal", "-shm", ""):
            beside = path.with_name(path.name + end)
            if beside.exists():
                beside.replace(path.with_name(f"{path.name}{ASIDE}{end}"))
        return WitnessFile(path)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """No other process opens the file meanwhile, and puts aside what this one just made."""
    until = time.monotonic() + OPEN_S
    with lock.open("ab") as held:
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until:
                    raise
                time.sleep(_LOOK_S)
        yield


def _row(sequence: int, witness: Witness) -> tuple[int, ...]:
    row = (sequence, witness.number, witness.mark, witness.epoch, witness.position)
    return (*row, _checksum(row))


def _checksum(row: tuple[int, ...]) -> int:
    return zlib.crc32(repr(row).encode())


def _identity(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


def is_damage(error: Exception) -> bool:
    """Whether the file is to be put aside."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return isinstance(error, FOREIGN) and code & 0xFF not in _NOT_NOW
