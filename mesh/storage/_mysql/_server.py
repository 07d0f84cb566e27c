"""Connects to one database of a server."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

import asyncmy
from asyncmy.constants import CLIENT, FIELD_TYPE
from asyncmy.converters import conversions
from sqlalchemy.dialects.mysql.asyncmy import MySQLDialect_asyncmy

from mesh.storage._address import MySQLAddress
from mesh.storage._errors import StoreUnavailable
from mesh.storage._mysql._connection import Connection, Means
from mesh.storage._mysql._errors import FOREIGN, UNKNOWN_DATABASE, code_of, translate
from mesh.storage._mysql._session import Kind, collation, set_up
from mesh.storage._mysql._types import MySQLTypes
from mesh.storage._mysql._values import number

C = TypeVar("C")

_DECODERS: Final = {
    **conversions,
    FIELD_TYPE.DECIMAL: number,
    FIELD_TYPE.NEWDECIMAL: number,
}


class Dialect(MySQLDialect_asyncmy):
    """SQL as asyncmy sends it, with the store's types."""

    supports_statement_cache = True
    type_compiler_cls = MySQLTypes


class UnknownDatabase(StoreUnavailable):
    """The server does not have the database."""


class Server:
    """Opens connections to a database, each set up for what it is for.

    Args:
        address: where the database is; made when the server does not have it.
        means: what the connections share.
    """

    def __init__(self, address: MySQLAddress, means: Means) -> None:
        self._address = address
        self._means = means
        self._tls = ssl.create_default_context(cafile=address.ca) if address.ca else None
        # It would log warnings of the server, which quote values.
        logging.getLogger("asyncmy").setLevel(logging.ERROR)

    @property
    def database(self) -> str:
        """Its name."""
        return self._address.database

    async def connect(self, kind: Kind, make: Callable[[Any, Means], C]) -> C:
        """A new connection, set up for its kind.

        Raises:
            StoreUnavailable: the server cannot be reached in time, or lets nobody in.
        """
        return make(await self._open(kind), self._means)

    async def make_database(self) -> None:
        """Make the database when the server does not have it."""
        try:
            connection = await self.connect(Kind.PLAIN, Connection)
        except UnknownDatabase:
            raw = await self._open(Kind.PLAIN, database=None)
            connection = Connection(raw, self._means)
            await connection.command(
                f"CREATE DATABASE IF NOT EXISTS `{self.database}` "
                f"CHARACTER SET utf8mb4 COLLATE {collation(raw.get_server_info())}"
            )
        await connection.leave()

    async def _open(self, kind: Kind, database: str | None = "") -> Any:
        limit_s = self._means.options.timeout_s
        raw: Any = None
        try:
            async with asyncio.timeout(limit_s):
                raw = await self._connect(self.database if database == "" else database)
                await self._set_up(raw, kind)
                return raw
        except BaseException as error:
            if raw is not None:
                raw.close()
            if isinstance(error, (*FOREIGN, OSError)):  # a time that is over, too
                raise self._refusal(error) from None
            raise

    def _refusal(self, error: Exception) -> StoreUnavailable:
        if code_of(error) == UNKNOWN_DATABASE:
            return UnknownDatabase(f"there is no database {self.database}")
        if isinstance(error, OSError):
            return StoreUnavailable("the database cannot be reached in time")
        return StoreUnavailable(str(translate(error)))

    async def _connect(self, database: str | None) -> Any:
        try:
            return await asyncmy.connect(
                host=self._address.host,
                port=self._address.port,
                user=self._address.user,
                password=self._address.password,
                database=database,
                charset="utf8mb4",
                client_flag=CLIENT.FOUND_ROWS,
                conv=_DECODERS,
                autocommit=None,
                ssl=self._tls,
            )
        except RuntimeError as error:  # how the driver says that the peer has hung up already
            raise ConnectionResetError("the server hung up") from error

    async def _set_up(self, raw: Any, kind: Kind) -> None:
        cursor = raw.cursor()
        await cursor.execute(set_up(raw.get_server_info(), kind, self._means.options))
        while await cursor.nextset():
            pass
