"""Which node a command goes to: always the same one, or as the cluster's slots say.

The client for clusters of redis-py 8.1 sends ASKING on one connection and the command on
another, so that a key of a slot on the move is not found; and it retries beyond any
deadline. Here it has the connections of redis-py, and a way of our own to them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Protocol

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import AskError, MovedError

from mesh.redis._errors import RedisUnavailable
from mesh.redis._location import Host
from mesh.redis._node import Node, NodeOptions, Word, packed

REDIRECTIONS: Final = 5
"""How often one command follows a slot that moves."""

REFRESH_S: Final = 0.1
"""The slots are read again at most this often."""

_SLOTS: Final = packed(("CLUSTER", "SLOTS"))
_KEYLESS: Final = frozenset(
    {"PING", "ECHO", "TIME", "INFO", "CLUSTER", "SCRIPT", "CONFIG", "CLIENT", "COMMAND", "DBSIZE"}
)
_SCRIPTS: Final = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})
_STREAMS: Final = frozenset({"XREAD", "XREADGROUP"})
_WITH_VERB: Final = frozenset({"XGROUP", "XINFO", "OBJECT", "MEMORY"})


class Topology(Protocol):
    """The nodes behind a client."""

    async def execute(self, words: tuple[Word, ...], until: float) -> Any:
        """The answer of the node that the command belongs to."""

    async def node(self, words: tuple[Word, ...], until: float) -> Node:
        """That node."""

    def nodes(self) -> Sequence[Node]:
        """Those that hold keys now."""

    async def close(self) -> None:
        """Close the connections to all of them."""

    def doubt(self) -> None:
        """Look again where things are before the next command."""


class Single:
    """One server."""

    def __init__(self, options: NodeOptions) -> None:
        self._node = Node(options.location.hosts[0], options)

    async def execute(self, words: tuple[Word, ...], until: float) -> Any:
        return await self._node.execute(packed(words), until)

    async def node(self, words: tuple[Word, ...], until: float) -> Node:  # noqa: ARG002
        return self._node

    def nodes(self) -> Sequence[Node]:
        return (self._node,)

    async def close(self) -> None:
        await self._node.close()

    def doubt(self) -> None:
        pass


class Cluster:
    """The masters of a Redis Cluster.

    Redirections are followed, ASK on one connection with its command. After a redirection
    or a failure the slots are read again before the next command.
    """

    def __init__(self, options: NodeOptions) -> None:
        self._options = options
        self._known: dict[Host, Node] = {}
        self._slots: list[Host | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        self._masters: frozenset[Host] = frozenset()
        self._stale = True
        self._refreshed = -REFRESH_S
        self._refreshing = asyncio.Lock()

    async def execute(self, words: tuple[Word, ...], until: float) -> Any:
        command = packed(words)
        node, asking = await self.node(words, until), False
        for _ in range(REDIRECTIONS + 1):
            try:
                return await node.execute(command, until, asking=asking)
            except AskError as error:  # MovedError is one
                node = self._at(_target(error, node))
                asking = not isinstance(error, MovedError)
                if not asking:
                    self._slots[error.slot_id] = node.host
                    self._stale = True
            except RedisUnavailable:
                self._stale = True
                raise
        raise RedisUnavailable("the slots of the cluster do not come to rest")

    async def node(self, words: tuple[Word, ...], until: float) -> Node:
        if self._stale:
            await self._refresh(until)
        key = key_of(words)
        if key is None:
            return self._any()
        host = self._slots[key_slot(key)]
        if host is None:
            self._stale = True
            raise RedisUnavailable("no node of the cluster holds that slot")
        return self._at(host)

    def nodes(self) -> Sequence[Node]:
        return tuple(map(self._at, self._masters or self._options.location.hosts))

    async def close(self) -> None:
        for node in self._known.values():
            await node.close()

    def doubt(self) -> None:
        self._stale = True

    def _at(self, host: Host) -> Node:
        node = self._known.get(host)
        if node is None:
            node = self._known[host] = Node(host, self._options)
        return node

    def _any(self) -> Node:
        nodes = self.nodes()
        return next((node for node in nodes if node.breaker.closed), nodes[0])

    async def _refresh(self, until: float) -> None:
        """Read the slots; what was known stays when no node can be asked."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until), self._refreshing:
                if not self._stale or loop.time() - self._refreshed < REFRESH_S:
                    return
                self._refreshed = loop.time()
                await self._read_slots(until)
        except TimeoutError:
            raise RedisUnavailable("the slots of the cluster are not known in time") from None

    async def _read_slots(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        for host in dict.fromkeys((*self._known, *self._options.location.hosts)):
            node = self._at(host)
            half = loop.time() + (until - loop.time()) / 2  # leaves time to ask another one
            try:
                ranges = await node.execute(_SLOTS, half)
            except RedisUnavailable:
                continue
            self._take_on(ranges, node)
            await self._forget_gone()
            return

    def _take_on(self, ranges: Sequence[Any], asked: Node) -> None:
        self._slots = [None] * REDIS_CLUSTER_HASH_SLOTS
        for first, last, (name, port, *_), *_replicas in ranges:
            host = Host(name.decode() if name else asked.host.name, port)
            self._slots[first : last + 1] = [host] * (last - first + 1)
        self._masters = frozenset(host for host in self._slots if host is not None)
        self._stale = not ranges

    async def _forget_gone(self) -> None:
        """Those that hold nothing any more; commands under way to them end by themselves."""
        for host in self._known.keys() - self._masters - set(self._options.location.hosts):
            await self._known.pop(host).close()


def key_of(words: tuple[Word, ...]) -> bytes | None:
    """The first key of a command; None when it has none."""
    name = _text(words[0]).upper()
    if name in _KEYLESS:
        return None
    if name in _SCRIPTS:
        return _bytes(words[3]) if int(words[2]) else None
    if name in _STREAMS:
        names = [_text(word).upper() if isinstance(word, (str, bytes)) else "" for word in words]
        return _bytes(words[names.index("STREAMS") + 1])
    return _bytes(words[2 if name in _WITH_VERB else 1])


def _target(error: AskError, asked: Node) -> Host:
    return Host(error.host or asked.host.name, error.port)


def _text(word: Word) -> str:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)


def _bytes(word: Word) -> bytes:
    return word if isinstance(word, bytes) else str(word).encode()
