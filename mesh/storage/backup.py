"""Copies of a service's database, each of one moment, made while services use it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Final

from mesh.storage._address import Address, MySQLAddress
from mesh.storage._errors import StorageError
from mesh.storage._sqlite._errors import FOREIGN, translate
from mesh.storage.migrations import current

BUSY_S: Final = 30.0
"""How long the copy of a file waits for a process that locks it."""

DUMP_S: Final = 6 * 3600
"""How long the copy of a database on a server may take."""

DUMP: Final = "mariadb-dump"
_COMPLETE: Final = b"-- Dump completed"


class BackupError(StorageError):
    """No copy was made, and nothing of one is left; `next_step` says what to do."""

    def __init__(self, text: str, next_step: str = "") -> None:
        super().__init__(text)
        self.next_step = next_step


def backup(address: Address, folder: Path, name: str) -> Path | None:
    """Copy a database to NAME.db or NAME.sql in a folder, readable by its owner alone.

    The file has its name once it is whole and on disk. None when there is no database yet.

    Raises:
        BackupError: the copy exists already, or could not be made.
        StorageError: the database cannot be read.
    """
    is_file = isinstance(address, Path)
    if current(address) is None:
        return None
    target = folder / f"{name}{'.db' if is_file else '.sql'}"
    if target.exists():
        raise BackupError(f"{target} exists already", "Name a new folder, or move it away.")
    with _whole(target) as partial:
        if isinstance(address, Path):
            _copy(address, partial)
        else:
            _dump(address, partial)
    return target


@contextmanager
def _whole(target: Path) -> Iterator[Path]:
    """A file that gets its name when the block ends well, and is gone otherwise."""
    partial = target.with_name(f".{target.name}.partial")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        os.close(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            yield partial
            _sync(partial)
            partial.replace(target)
            _sync(target.parent)
        finally:
            partial.unlink(missing_ok=True)
            partial.with_name(f"{partial.name}-journal").unlink(missing_ok=True)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror}") from error


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copy(database: Path, partial: Path) -> None:
    try:
        with (
            closing(sqlite3.connect(database, timeout=BUSY_S)) as source,
            closing(sqlite3.connect(partial)) as copy,
        ):
            source.backup(copy)  # in one step: a write in between would start it anew
    except FOREIGN as error:
        raise translate(error) from error


def _dump(address: MySQLAddress, partial: Path) -> None:
    program = shutil.which(DUMP)
    if program is None:
        raise BackupError(f"'{DUMP}' is not installed", "On Debian: apt install mariadb-client.")
    with _credentials(address) as defaults, partial.open("wb") as out:
        try:
            done = subprocess.run(  # noqa: S603 - the program found above, no shell
                [
                    program,
                    f"--defaults-file={defaults}",
                    *("--single-transaction", "--routines", "--triggers", "--hex-blob"),
                    "--default-character-set=utf8mb4",
                    address.database,
                ],
                stdout=out,
                stderr=subprocess.PIPE,
                timeout=DUMP_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise BackupError(f"'{DUMP}' did not end within {DUMP_S} s") from error
    if done.returncode or not _is_complete(partial):
        told = done.stderr.decode(errors="replace").strip()
        raise BackupError(f"'{DUMP}' failed: {told or 'it was cut off'}")


def _is_complete(dump: Path) -> bool:
    with dump.open("rb") as file:
        file.seek(max(dump.stat().st_size - 200, 0))
        return _COMPLETE in file.read()


@contextmanager
def _credentials(address: MySQLAddress) -> Iterator[str]:
    """An options file that its owner alone can read: arguments are seen by everybody."""
    with tempfile.NamedTemporaryFile("w", prefix="engine-", suffix=".cnf") as file:
        _write_options(file, address)
        yield file.name


def _write_options(file: IO[str], address: MySQLAddress) -> None:
    tls = f"ssl-ca={_quoted(str(address.ca))}" if address.ca else "skip-ssl"
    lines = (
        "[client]",
        "protocol=tcp",
        f"host={_quoted(address.host)}",
        f"port={address.port}",
        f"user={_quoted(address.user)}",
        f"password={_quoted(address.password)}",
        tls,
    )
    file.write("\n".join(lines) + "\n")
    file.flush()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
