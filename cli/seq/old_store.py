"""Where ids came from before: how far a table or sequence of another database has come.

Each reading is on a connection of its own, so that the second one sees what was
committed since the first.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import ssl
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, unquote, urlsplit

READ_S: Final = 120.0
"""How long a reading may take: the maximum of a column without an index looks at every row."""

CONNECT_S: Final = 10.0
PASSWORD: Final = "MYSQL_PWD"  # noqa: S105 - the variable, as MySQL's own clients have it

_URLS: Final = "Write mysql://user@host:port/database or sqlite:///path/to/file.db."
_AUTO_INCREMENT: Final = (
    "SELECT auto_increment FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = %s"
)
_TIDB_SEQUENCE: Final = (
    "SELECT increment, cycle FROM information_schema.sequences"
    " WHERE sequence_schema = DATABASE() AND sequence_name = %s"
)

Rows = Sequence[Sequence[Any]]


class OldStoreError(Exception):
    """The store cannot be read, or has no such thing; `next_step` says what to do."""

    def __init__(self, text: str, next_step: str = "") -> None:
        super().__init__(text)
        self.next_step = next_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How far the ids had come: the highest one, None when there is none.

    `upcoming` is the id that the store itself would give next, where it says so.
    """

    maximum: int | None
    upcoming: int | None = None


class OldIds(Protocol):
    """Ids that another store has given."""

    def read(self) -> Reading:
        """How far they have come now.

        Raises:
            OldStoreError: with what to do.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A table's column, or a sequence (`column` is None then)."""

    name: str
    column: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SqliteIds:
    """A column in an SQLite file, which is opened for reading alone."""

    file: Path
    table: str
    column: str

    def read(self) -> Reading:
        table, column = _quoted(self.table, '"'), _quoted(self.column, '"')
        # SQLite takes an unknown name in quotes for a text, unless a table stands before it.
        statement = f"SELECT MAX(t.{column}) FROM {table} AS t"  # noqa: S608 - quoted above
        try:
            with closing(
                sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True)
            ) as file:
                (found,) = file.execute(statement).fetchone()
                return Reading(maximum=_whole(found), upcoming=self._upcoming(file))
        except sqlite3.Error as error:
            raise OldStoreError(f"{self.file}: {error}", "Check --from, --table, --column.") from (
                error
            )

    def _upcoming(self, file: sqlite3.Connection) -> int | None:
        try:
            row = file.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = ?", (self.table,)
            ).fetchone()
        except sqlite3.OperationalError:  # no table of this file has AUTOINCREMENT
            return None
        return int(row[0]) + 1 if row else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A database on a server that speaks MySQL's protocol."""

    host: str
    port: int
    user: str
    database: str
    password: str = field(default="", repr=False)
    ca: Path | None = None

    def ask(self, *statements: tuple[str, Sequence[Any]]) -> Sequence[Rows]:
        """The rows of each statement, all on one connection.

        Raises:
            OldStoreError: the server refuses, or does not answer in time.
        """
        from asyncmy import errors

        try:
            return asyncio.run(self._asked(statements))
        except TimeoutError as error:
            raise OldStoreError(
                f"{self.host}:{self.port} did not answer in time",
                "Index the column, or read a replica that is up to date.",
            ) from error
        except (errors.MySQLError, OSError) as error:
            raise OldStoreError(
                f"{self.database} on {self.host}:{self.port}: {_said(error)}",
                f"Check --from and the names; the password comes from {PASSWORD}"
                " or --password-file.",
            ) from error

    async def _asked(self, statements: Sequence[tuple[str, Sequence[Any]]]) -> Sequence[Rows]:
        import asyncmy

        async with asyncio.timeout(CONNECT_S):
            connection = await asyncmy.connect(
                host=self.host,
                port=self.port,
                user=self.user,
                password=self.password,
                database=self.database,
                charset="utf8mb4",
                ssl=ssl.create_default_context(cafile=self.ca) if self.ca else None,
            )
        try:
            async with asyncio.timeout(READ_S):
                cursor = connection.cursor()
                found = []
                for text, values in statements:
                    await cursor.execute(text, values or None)
                    found.append(await cursor.fetchall())
                return found
        finally:
            connection.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class MySqlColumn:
    """A column of a table; AUTO_INCREMENT, where the table has it, is the upcoming id."""

    server: Server
    table: str
    column: str

    def read(self) -> Reading:
        table, column = _quoted(self.table, "`"), _quoted(self.column, "`")
        maximum, upcoming = self.server.ask(
            (f"SELECT MAX({column}) FROM {table}", ()),  # noqa: S608 - quoted above
            (_AUTO_INCREMENT, (self.table,)),
        )
        return Reading(
            maximum=_whole(maximum[0][0]), upcoming=_whole(upcoming[0][0]) if upcoming else None
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MySqlSequence:
    """A SEQUENCE of MariaDB or TiDB. What a server has cached counts as given."""

    server: Server
    sequence: str

    def read(self) -> Reading:
        ((version,),) = self.server.ask(("SELECT VERSION()", ()))[0]
        row = self._tidb() if "tidb" in version.lower() else self._mariadb()
        upcoming, increment, cycles = map(int, row)
        if increment < 0 or cycles:
            raise OldStoreError(
                f"'{self.sequence}' {'begins again' if cycles else 'descends'}",
                "Of such a sequence no start lies above all its ids: create one of your own.",
            )
        return Reading(maximum=upcoming - 1, upcoming=upcoming)

    def _mariadb(self) -> Sequence[Any]:
        name = _quoted(self.sequence, "`")
        text = f"SELECT next_not_cached_value, increment, cycle_option FROM {name}"  # noqa: S608
        (found,) = self.server.ask((text, ()))
        return found[0]

    def _tidb(self) -> Sequence[Any]:
        next_ids, settings = self.server.ask(
            (f"SHOW TABLE {_quoted(self.sequence, '`')} NEXT_ROW_ID", ()),
            (_TIDB_SEQUENCE, (self.sequence,)),
        )
        if not settings:
            raise OldStoreError(f"there is no sequence '{self.sequence}'", "Check --sequence.")
        return max(int(row[3]) for row in next_ids), *settings[0]


def opened(url: str, place: Place, password_file: Path | None) -> OldIds:
    """The ids at a place of the store that a URL names.

    Raises:
        OldStoreError: the URL or what else is given cannot be used.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or 3306
    except ValueError as error:  # its text may have a password in it
        raise OldStoreError("the URL of --from has no host and port", _URLS) from error
    if parts.scheme == "sqlite":
        if place.column is None:
            raise OldStoreError("SQLite has no sequences", "Give --table and --column.")
        return SqliteIds(file=Path(unquote(parts.path)), table=place.name, column=place.column)
    if parts.scheme != "mysql" or not parts.hostname or not parts.path.strip("/"):
        raise OldStoreError(
            f"'{parts.scheme}://{parts.hostname or ''}{parts.path}' is no store that is known",
            _URLS,
        )
    if parts.password is not None:
        raise OldStoreError(
            "a password in a URL is seen by everybody on the machine",
            f"Put it into {PASSWORD}, or into a file for --password-file.",
        )
    server = Server(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or "root"),
        database=unquote(parts.path.strip("/")),
        password=_secret(password_file) if password_file else os.environ.get(PASSWORD, ""),
        ca=next((Path(ca) for ca in parse_qs(parts.query).get("ca", ())), None),
    )
    if place.column is None:
        return MySqlSequence(server=server, sequence=place.name)
    return MySqlColumn(server=server, table=place.name, column=place.column)


def _secret(path: Path) -> str:
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise OldStoreError(f"others can read {path}", f"Run 'chmod 600 {path}'.")
            return file.read().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise OldStoreError(f"cannot read {path}: {error}") from error


def _quoted(name: str, mark: str) -> str:
    if not name or "\0" in name:
        raise OldStoreError("a name is empty or has a zero character in it")
    return f"{mark}{name.replace(mark, mark * 2)}{mark}"


def _whole(found: Any) -> int | None:
    """A whole number; None for an empty table.

    Raises:
        OldStoreError: it is something else: a date, say, or a text, which does not rise
            as numbers do.
    """
    if found is None:
        return None
    if not isinstance(found, int | Decimal) or found % 1:
        raise OldStoreError(
            "the column does not hold whole numbers", "Name the column that has the ids."
        )
    return int(found)


def _said(error: Exception) -> str:
    return str(error.args[1]) if len(error.args) > 1 else str(error)
