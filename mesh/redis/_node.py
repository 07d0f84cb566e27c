"""One server: a bounded pool of connections and a breaker."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import hiredis
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MasterDownError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TryAgainError,
)

from mesh.clock import Clock
from mesh.redis._breaker import Breaker
from mesh.redis._errors import RedisRefused, RedisUnavailable
from mesh.redis._location import Host, Location
from mesh.telemetry import Meters

Word = str | bytes | int | float

CLOSE_S: Final = 1.0
"""What an idle connection may take to close."""

_ASKING: Final = b"*1\r\n$6\r\nASKING\r\n"
_NOT_NOW: Final = (ClusterDownError, MasterDownError, OutOfMemoryError, ReadOnlyError)
_NOT_NOW_CODES: Final = frozenset({"MISCONF", "NOREPLICAS", "BUSY", "UNBLOCKED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeOptions:
    """What all nodes of a client have in common."""

    location: Location
    connections: int
    meters: Meters
    clock: Clock
    random: Callable[[], float]


def packed(words: tuple[Word, ...]) -> bytes:
    """A command as it goes over the wire."""
    command: bytes = hiredis.pack_command(words)  # type: ignore[arg-type]  # its stub means Tuple[…, ...]
    return command


class Node:
    """The way to one server.

    A connection whose command did not end in an answer is closed: the answer may still
    come, and must not be taken for that of the next command.
    """

    def __init__(self, host: Host, options: NodeOptions) -> None:
        self.host = host
        self.breaker = Breaker(str(host), options.clock, options.random, options.meters)
        self._commands = options.meters.counter("redis.commands")
        self._open = _opener(host, options.location)
        self._slots = asyncio.Semaphore(options.connections)
        self._idle: list[Connection] = []
        self._closed = False

    async def execute(self, command: bytes, until: float, *, asking: bool = False) -> Any:
        """The answer to a packed command, at the loop's time `until` at the latest.

        Raises:
            RedisUnavailable: no answer, or none that is worth anything now.
            RedisRefused: the command is wrong.
            AskError, MovedError: another node of the cluster has to be asked.
        """
        self.breaker.check()
        await self._take_slot(until)
        try:
            with self._watched():
                async with asyncio.timeout_at(until):
                    return await self._on_idle(command, asking=asking)
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Close what is idle now, and the rest when its command has ended."""
        self._closed = True
        while self._idle:
            await _close(self._idle.pop())

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Lent]:
        """A connection of its own, not from the pool."""
        connection = self._open()
        try:
            yield Lent(connection, self._watched)
        finally:
            await _close(connection)

    async def _take_slot(self, until: float) -> None:
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout_at(until):
                await self._slots.acquire()
        except TimeoutError:  # which says nothing about the server
            raise RedisUnavailable(f"Redis at {self.host}: all connections are busy") from None

    async def _on_idle(self, command: bytes, *, asking: bool) -> Any:
        connection = self._idle.pop() if self._idle else self._open()
        try:
            return await _ask(connection, command, asking=asking)
        finally:
            if self._closed:
                await connection.disconnect(nowait=True)
            elif connection.is_connected:
                self._idle.append(connection)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Counts a command, asks and tells the breaker, and translates errors."""
        self.breaker.admit()
        self._commands.add()
        try:
            yield
        except ResponseError as error:
            self.breaker.succeeded()
            raise _translated(error) from error
        except (TimeoutError, OSError, RedisError) as error:
            self.breaker.failed(error)
            raise RedisUnavailable(f"Redis at {self.host}: {_reason(error)}") from error
        except BaseException:
            self.breaker.given_up()
            raise
        self.breaker.succeeded()


class Lent:
    """A connection that one task has to itself."""

    def __init__(
        self, connection: Connection, watched: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._connection = connection
        self._watched = watched

    async def execute(self, command: bytes, until: float) -> Any:
        """As `Node.execute`; after an error the next command opens a new connection."""
        with self._watched():
            async with asyncio.timeout_at(until):
                return await _ask(self._connection, command, asking=False)


async def _ask(connection: Connection, command: bytes, *, asking: bool) -> Any:
    try:
        if connection.is_connected and await connection.can_read():
            await connection.disconnect(nowait=True)  # the server closed it, or it speaks unasked
        if not connection.is_connected:
            await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_packed_command(_ASKING + command if asking else command)
        if asking:
            await connection.read_response(timeout=math.inf)
        return await connection.read_response(timeout=math.inf)
    except ResponseError:
        raise
    except BaseException:
        await connection.disconnect(nowait=True)
        raise


async def _close(connection: Connection) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            await connection.disconnect()
    except (TimeoutError, OSError, RedisError):
        await connection.disconnect(nowait=True)


def _opener(host: Host, location: Location) -> Callable[[], Connection]:
    """Makes connections that are not yet open. Deadlines are ours, so they have none."""
    options: dict[str, Any] = {
        "host": host.name,
        "port": host.port,
        "db": location.database,
        "username": location.user,
        "password": location.password,
        "socket_timeout": None,
        "socket_connect_timeout": None,
        "protocol": 2,
        "driver_info": None,
    }
    if not location.tls:
        return lambda: Connection(**options)
    return lambda: SSLConnection(ssl_ca_certs=location.ca, **options)


def _translated(error: ResponseError) -> Exception:
    if isinstance(error, AskError):  # MovedError is one
        return error
    text = str(error)
    code = error.status_code or text.partition(" ")[0]
    if isinstance(error, (*_NOT_NOW, TryAgainError)) or code in _NOT_NOW_CODES:
        return RedisUnavailable(f"Redis cannot do it now: {code}")
    return RedisRefused(code, text.removeprefix(code).strip())


def _reason(error: BaseException) -> str:
    return "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
