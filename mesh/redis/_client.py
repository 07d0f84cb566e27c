"""The client: commands under a deadline, scripts, connections for commands that block."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import random
from typing import Any, Self

from redis.exceptions import AskError

from mesh.clock import Clock, SystemClock
from mesh.redis._cluster import Cluster, Single, Topology
from mesh.redis._errors import RedisRefused, RedisUnavailable
from mesh.redis._location import Host, Location
from mesh.redis._node import Lent, NodeOptions, Word, packed
from mesh.settings import Settings
from mesh.telemetry import Meters


class RedisClient:
    """A Redis or a Redis Cluster, as an async context manager.

    Entering does not reach for Redis: whether it is there shows with each command. Answers
    are those of RESP2: bytes, integers, None and lists of them.

    A command that is cancelled closes its connection. Nothing is tried twice, but for
    redirections in a cluster: after `RedisUnavailable` a command may have been carried out.

    Args:
        url: `redis://[user@]host:port[/db]`, `rediss://…[?ca=file]`, `redis+cluster://h:p,h:p`.
        password: never shown.
        timeout_s: what a command may take, waiting for a connection and opening it included.
        connections: open at once to each node, at most; further commands wait for one.

    Raises:
        ValueError: the URL is none of these.
    """

    def __init__(
        self,
        url: str,
        *,
        password: str = "",
        timeout_s: float = 0.5,
        connections: int = 32,
        meters: Meters | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = random,
    ) -> None:
        self._location = Location.parse(url, password)
        self._timeout_s = timeout_s
        meters = meters or Meters()
        options = NodeOptions(
            location=self._location,
            connections=connections,
            meters=meters,
            clock=clock or SystemClock(),
            random=random,
        )
        self._topology: Topology = Cluster(options) if self._location.cluster else Single(options)
        meters.gauge("redis.unavailable_s", lambda: self.unavailable_s)

    def __repr__(self) -> str:
        return f"RedisClient({', '.join(map(str, self._location.hosts))})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._topology.close()

    @property
    def available(self) -> bool:
        """Whether every node that holds keys answered when it was last asked."""
        return all(node.breaker.closed for node in self._topology.nodes())

    @property
    def unavailable_s(self) -> float:
        """Seconds that these were away so far, in all."""
        return sum(node.breaker.down_s for node in self._topology.nodes())

    async def execute(self, *words: Word, timeout_s: float | None = None) -> Any:
        """The answer to a command: `execute("GET", key)`.

        Raises:
            RedisUnavailable: there was no answer, or Redis cannot do it now.
            RedisRefused: the command is wrong.
        """
        return await self._topology.execute(words, self._until(timeout_s))

    def script(self, lua: str) -> Script:
        """A script that runs as one step; all its keys must be in one slot."""
        return Script(self, lua)

    @asynccontextmanager
    async def blocking(self) -> AsyncIterator[BlockingConnection]:
        """A connection of its own for one task, for commands that BLOCK; not counted in the pool.

        It is opened by the first command, and again after an error.
        """
        async with AsyncExitStack() as stack:
            yield BlockingConnection(self._topology, stack, self._until)

    def _until(self, timeout_s: float | None) -> float:
        loop = asyncio.get_running_loop()
        return loop.time() + (self._timeout_s if timeout_s is None else timeout_s)


class BlockingConnection:
    """As `RedisClient.blocking` says: one connection to each node that its commands belong to."""

    def __init__(
        self,
        topology: Topology,
        stack: AsyncExitStack,
        until: Callable[[float | None], float],
    ) -> None:
        self._topology = topology
        self._stack = stack
        self._until = until
        self._lent: dict[Host, Lent] = {}

    async def execute(self, *words: Word, timeout_s: float | None = None) -> Any:
        """As `RedisClient.execute`; `timeout_s` has to be longer than the command blocks."""
        until = self._until(timeout_s)
        node = await self._topology.node(words, until)
        if node.host not in self._lent:
            self._lent[node.host] = await self._stack.enter_async_context(node.lend())
        try:
            return await self._lent[node.host].execute(packed(words), until)
        except AskError as error:
            self._topology.doubt()
            raise RedisUnavailable("the slot has moved to another node") from error
        except RedisUnavailable:
            self._topology.doubt()
            raise


class Script:
    """A Lua script, sent whole only to a server that does not have it."""

    def __init__(self, client: RedisClient, lua: str) -> None:
        self._client = client
        self._lua = lua
        self._sha = hashlib.sha1(lua.encode(), usedforsecurity=False).hexdigest()

    async def __call__(
        self,
        *,
        keys: Sequence[str | bytes],
        args: Sequence[Word] = (),
        timeout_s: float | None = None,
    ) -> Any:
        """Run it; the answer is what it returns. Errors as of `RedisClient.execute`."""
        rest: tuple[Word, ...] = (len(keys), *keys, *args)
        try:
            return await self._client.execute("EVALSHA", self._sha, *rest, timeout_s=timeout_s)
        except RedisRefused as error:
            if error.code != "NOSCRIPT":
                raise
        return await self._client.execute("EVAL", self._lua, *rest, timeout_s=timeout_s)


def open_redis(settings: Settings, meters: Meters | None = None) -> RedisClient | None:
    """The client that the settings name, not yet entered; None when they name none.

    Raises:
        ValueError: `ENGINE_REDIS_URL` cannot be read.
    """
    if not settings.redis_url:
        return None
    return RedisClient(
        settings.redis_url,
        password=settings.redis_password,
        timeout_s=settings.redis_timeout_s,
        connections=settings.redis_connections,
        meters=meters,
    )
