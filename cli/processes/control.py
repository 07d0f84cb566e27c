"""The socket by which commands speak to a supervisor: one JSON object a line, both ways.

It lies in the run folder, which nobody but its owner may enter, and takes nobody else's
connections. A supervisor has no threads and no loop: its selector tells what can be read,
and what an order still has to do is a generator that is gone on with at each round.
"""

from __future__ import annotations

import json
import os
import selectors
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

MAX_CONNECTIONS: Final = 16
MAX_ORDER_BYTES: Final = 64 << 10
SUFFIX: Final = ".control"
"""What the name of a control socket ends with; its stem names the supervisor's process."""

Order = Mapping[str, Any]
Reply = Mapping[str, Any]
Answer = Callable[[Order], Iterator[Reply | None]]
"""Does what an order says: yields what to tell, and None to be gone on with later."""

_PEER: Final = struct.Struct("3i")


class Control:
    """Takes orders at a socket of its own in `folder`, by a selector of others.

    The selector's keys hold callables without arguments, to be called when they can be read.
    `listener` is the socket's open file where this process listens already.
    """

    def __init__(
        self,
        folder: Path,
        selector: selectors.BaseSelector,
        answer: Answer,
        listener: int | None = None,
    ) -> None:
        self._selector = selector
        self._answer = answer
        self._connections: set[_Connection] = set()
        self.path = folder.absolute() / f"{os.getpid()}{SUFFIX}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        self._listener = (
            _listening(self.path) if listener is None else socket.socket(fileno=listener)
        )
        self._listener.setblocking(False)
        selector.register(self._listener, selectors.EVENT_READ, self._accept)

    @property
    def listener(self) -> int:
        """The open file of the socket."""
        return self._listener.fileno()

    def go_on(self) -> None:
        """Go on with every order that is not done."""
        for connection in list(self._connections):
            if connection.go_on():
                self._done(connection)

    def close(self) -> None:
        """Take no more orders, and give up those that are under way."""
        self._selector.unregister(self._listener)
        self.leave()
        self.path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let go of the sockets in a forked process; the parent keeps them."""
        self._listener.close()
        for connection in self._connections:
            connection.socket.close()

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            peer, _ = self._listener.accept()
            if not _is_ours(peer) or len(self._connections) >= MAX_CONNECTIONS:
                peer.close()
                return
            peer.setblocking(False)
            connection = _Connection(peer, self._answer, self._gone)
            self._connections.add(connection)
            self._selector.register(peer, selectors.EVENT_READ, connection.hear)

    def _gone(self, connection: _Connection) -> None:
        """Nothing more is to be heard from it."""
        self._selector.unregister(connection.socket)
        if connection.is_idle:
            self._done(connection)

    def _done(self, connection: _Connection) -> None:
        self._connections.discard(connection)
        if not connection.is_gone:
            self._selector.unregister(connection.socket)
        connection.socket.close()


class _Connection:
    """One order and its replies. Who leaves is told no more; what has begun goes on."""

    def __init__(
        self, peer: socket.socket, answer: Answer, gone: Callable[[_Connection], None]
    ) -> None:
        self.socket = peer
        self.is_gone = False
        self._answer = answer
        self._gone = gone
        self._heard = b""
        self._under_way: Iterator[Reply | None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it has not given an order yet."""
        return self._under_way is None

    def hear(self) -> None:
        """Read what it says; an order begins when its line is whole."""
        try:
            chunk = self.socket.recv(MAX_ORDER_BYTES)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        self._heard += chunk
        if not chunk or len(self._heard) > MAX_ORDER_BYTES:
            self.is_gone = True
            self._gone(self)
        elif b"\n" in self._heard and self._under_way is None:
            self._under_way = self._answer(_order(self._heard.partition(b"\n")[0]))

    def go_on(self) -> bool:
        """Go on with the order; whether it is done."""
        for reply in self._under_way or (None,):
            if reply is None:
                return False
            self._tell(reply)
        return True

    def _tell(self, reply: Reply) -> None:
        with suppress(OSError):  # it has gone, or does not read
            self.socket.sendall(json.dumps(reply).encode() + b"\n")


def _listening(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)  # of an earlier process with our number
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(MAX_CONNECTIONS)
    return listener


def _order(line: bytes) -> Order:
    try:
        order = json.loads(line)
    except ValueError:
        return {}
    return order if isinstance(order, dict) else {}


def _is_ours(peer: socket.socket) -> bool:
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    uid: int = _PEER.unpack(raw)[1]
    return uid == os.getuid()
