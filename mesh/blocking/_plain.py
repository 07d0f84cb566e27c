"""The ordinary way of a blocking channel: grpc's own blocking channels.

They are never those of grpc.aio, which a forked child cannot use; a new blocking one it can.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import count
from threading import Lock
from typing import Any, Final

import grpc

from mesh.lane.dial import Endpoint, Tls
from mesh.resilience import is_unsent, may_try_again

AVOIDED_S: Final = 2.0
"""How long an address that could not be reached is passed over while there are others."""

OPTIONS: Final = (
    ("grpc.max_receive_message_length", 16 << 20),
    ("grpc.max_send_message_length", 16 << 20),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.use_local_subchannel_pool", 1),
)

Serializers = tuple[Any, Any]


class Plain:
    """The plain channels of one process, each opened when it is first used.

    `tls` is what other hosts are shown; calls that begin after it was renewed show the new one.
    """

    def __init__(self, tls: Tls | None = None) -> None:
        self._tls = tls
        self._version = 0
        self._lock = Lock()
        self._channels: dict[str, grpc.Channel] = {}
        self._bound: dict[Any, Any] = {}
        self._avoided: dict[str, float] = {}
        self._turn = count()
        self._is_closed = False

    def choose(self, targets: Sequence[Endpoint], avoid: str = "") -> str:
        """The address for the next call: targets take turns, those that are down come last."""
        if len(targets) == 1:
            return targets[0].address
        first = next(self._turn) % len(targets)
        order = [target.address for target in (*targets[first:], *targets[:first])]
        now = time.monotonic()
        return min(order, key=lambda at: (at == avoid, self._avoided.get(at, now) > now))

    def bound(self, kind: str, path: str, serializers: Serializers, address: str) -> Any:
        """A method at an address, bound once."""
        if self._tls is not None and self._tls.version != self._version:
            self._renew(self._tls)
        key = (kind, path, serializers, address)
        found = self._bound.get(key)
        if found is None:
            make = getattr(self.channel(address), kind)
            found = self._bound[key] = make(path, *serializers)
        return found

    def channel(self, address: str) -> grpc.Channel:
        """The channel to an address.

        Raises:
            ValueError: all are closed.
        """
        with self._lock:
            if self._is_closed:
                raise ValueError("Cannot invoke RPC on closed channel!")
            if address not in self._channels:
                self._channels[address] = self._open(address)
            return self._channels[address]

    def _open(self, address: str) -> grpc.Channel:
        if self._tls is None or address.startswith("unix:"):
            return grpc.insecure_channel(address, options=OPTIONS)
        return grpc.secure_channel(address, self._tls.channel_credentials(), options=OPTIONS)

    def _renew(self, tls: Tls) -> None:
        """Let go of the channels to other hosts; calls under way keep theirs until they end."""
        with self._lock:
            self._version = tls.version
            self._channels = {at: it for at, it in self._channels.items() if at.startswith("unix:")}
            self._bound = {key: it for key, it in self._bound.items() if key[3] in self._channels}

    def keep(self, targets: Sequence[Endpoint]) -> None:
        """Let go of the channels to all others; calls under way keep theirs until they end."""
        addresses = {target.address for target in targets}
        if self._channels.keys() <= addresses:
            return
        with self._lock:
            for gone in self._channels.keys() - addresses:
                del self._channels[gone]
            self._bound = {key: it for key, it in self._bound.items() if key[3] in addresses}
            self._avoided = {at: until for at, until in self._avoided.items() if at in addresses}

    def close(self) -> None:
        """Close all; calls under way are cancelled."""
        with self._lock:
            self._is_closed = True
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()
            self._bound.clear()

    def answered(
        self,
        send: Callable[[str, float], Any],
        path: str,
        targets: Sequence[Endpoint],
        address: str,
        until: float,
    ) -> Any:
        """What `send` answers for an address and the seconds left; a second try where it may be.

        Raises:
            grpc.RpcError: the call failed.
        """
        try:
            return send(address, until - time.monotonic())
        except grpc.RpcError as error:
            if is_unsent(error):
                self._avoided[address] = time.monotonic() + AVOIDED_S
            other = self.choose(targets, avoid=address)
            left = until - time.monotonic()
            if other == address or left <= 0 or not may_try_again(error, path):
                raise
            return send(other, left)
