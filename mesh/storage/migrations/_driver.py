"""asyncmy for SQLAlchemy's synchronous engine, which Alembic needs.

SQLAlchemy runs an asynchronous driver below a synchronous interface by greenlets, a
compiled package more. A migration has one connection and waits for each statement
anyway: here each call runs an event loop of its own until it has its answer.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Coroutine, Sequence
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any, Final, TypeVar

import asyncmy
from asyncmy import errors
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.util import VersionInfo, parse_version_string

from mesh.storage._address import MySQLAddress
from mesh.storage._mysql._types import MySQLTypes

CONNECT_S: Final = 10.0
STATEMENT_S: Final = 3_600.0
"""How long a statement may take: a change of a large table copies it."""

URL: Final = "mysql+engine://"
"""Makes SQLAlchemy take `Dialect`."""

registry.register("mysql.engine", __name__, "Dialect")

T = TypeVar("T")


class Dialect(MySQLDialect_pymysql):
    """MySQL as asyncmy speaks it, with the store's types."""

    driver = "asyncmy"
    supports_statement_cache = True
    supports_server_side_cursors = False
    type_compiler_cls = MySQLTypes

    @classmethod
    def import_dbapi(cls) -> Any:
        return DBAPI

    def retrieve_dbapi_version(self, dbapi: Any) -> VersionInfo:  # noqa: ARG002
        return parse_version_string(version("asyncmy"))


class Connection:
    """A connection as PEP 249 has it."""

    DatabaseError = errors.DatabaseError

    def __init__(self, runner: asyncio.Runner, address: MySQLAddress, database: str) -> None:
        self._runner = runner
        self._raw: Any = self.wait(_connect(address, database), CONNECT_S)

    def cursor(self, _kind: object = None) -> Cursor:
        """A new cursor."""
        return Cursor(self, self._raw.cursor())

    def commit(self) -> None:
        """End the transaction and keep its changes."""
        self.wait(self._raw.commit(), STATEMENT_S)

    def rollback(self) -> None:
        """End the transaction without its changes."""
        self.wait(self._raw.rollback(), STATEMENT_S)

    def autocommit(self, wanted: bool) -> None:
        """Whether each statement is a transaction of its own."""
        self.wait(self._raw.autocommit(wanted), STATEMENT_S)

    def character_set_name(self) -> str:
        """The character set of what is sent."""
        name: str = self._raw.character_set_name()
        return name

    def close(self) -> None:
        """Say goodbye, as far as the server still listens."""
        try:
            self.wait(self._raw.ensure_closed(), CONNECT_S)
        except (OSError, errors.Error):
            self._raw.close()

    def wait(self, answer: Coroutine[Any, Any, T], limit_s: float) -> T:
        """The answer of the driver.

        Raises:
            OperationalError: it did not come in time.
        """
        return self._runner.run(_within(limit_s, answer))


class Cursor:
    """A cursor as PEP 249 has it; all rows are there once a statement has run."""

    arraysize = 1

    def __init__(self, connection: Connection, raw: Any) -> None:
        self.connection = connection
        self._raw = raw

    @property
    def description(self) -> Sequence[Any] | None:
        """The columns of the rows; None when there are none."""
        found: Sequence[Any] | None = self._raw.description
        return found

    @property
    def rowcount(self) -> int:
        """How many rows the last statement hit."""
        count: int = self._raw.rowcount
        return count

    @property
    def lastrowid(self) -> int:
        """The number that the database gave the last row."""
        number: int = self._raw.lastrowid
        return number

    def execute(self, text: str, values: Any = None) -> None:
        """Run a statement."""
        self._wait(self._raw.execute(text, values or None))

    def executemany(self, text: str, rows: Sequence[Any]) -> None:
        """Run a statement for each of several rows."""
        self._wait(self._raw.executemany(text, rows))

    def fetchone(self) -> Any:
        """The next row; None after the last."""
        return self._wait(self._raw.fetchone())

    def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        """The next rows."""
        return list(self._wait(self._raw.fetchmany(size)))

    def fetchall(self) -> Sequence[Any]:
        """All rows that are left."""
        return list(self._wait(self._raw.fetchall()))

    def close(self) -> None:
        """Forget the rows."""
        self._raw = SimpleNamespace(description=None, rowcount=-1, lastrowid=0)

    def _wait(self, answer: Coroutine[Any, Any, T]) -> T:
        return self.connection.wait(answer, STATEMENT_S)


DBAPI: Final = SimpleNamespace(
    paramstyle="format",
    connect=Connection,
    **{name: getattr(errors, name) for name in dir(errors) if name.endswith(("Error", "Warning"))},
)
"""The module of the driver, as far as SQLAlchemy asks it."""


async def _within(limit_s: float, answer: Coroutine[Any, Any, T]) -> T:
    try:
        async with asyncio.timeout(limit_s):
            return await answer
    except TimeoutError as error:
        raise errors.OperationalError(2013, f"no answer within {limit_s:g} s") from error


async def _connect(address: MySQLAddress, database: str) -> Any:
    # It would warn of what a statement found done already.
    logging.getLogger("asyncmy").setLevel(logging.ERROR)
    return await asyncmy.connect(
        host=address.host,
        port=address.port,
        user=address.user,
        password=address.password,
        database=database or None,
        charset="utf8mb4",
        ssl=ssl.create_default_context(cafile=address.ca) if address.ca else None,
    )
