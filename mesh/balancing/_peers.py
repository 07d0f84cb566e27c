"""The peers of a channel: each is opened when it appears, and closed when it has left."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Final

from mesh.balancing._table import Instance
from mesh.lane.dial import Endpoint
from mesh.peer import Peer

RETIRE_S: Final = 30.0
"""How long calls in flight to an endpoint that left may still take."""


class Peers:
    """Peers by their endpoints.

    Args:
        make: makes the peer of an endpoint.
    """

    def __init__(self, make: Callable[[Endpoint], Peer]) -> None:
        self._make = make
        self._names: dict[Endpoint | str, str] = {}
        self._leaving: set[Peer] = set()
        self._closing: set[asyncio.Future[None]] = set()
        self.known: dict[Endpoint | str, Peer] = {}

    def of(self, instance: Instance) -> Peer:
        """The peer of an instance; what is known of another one at its endpoint is forgotten."""
        endpoint = instance.endpoint
        found = self.known.get(endpoint)
        if found is None:
            target = Endpoint(endpoint) if isinstance(endpoint, str) else endpoint
            found = self.known[endpoint] = self._make(target)
        elif self._names[endpoint] != instance.name:
            found.health.renew()
        self._names[endpoint] = instance.name
        return found

    def retire(self, staying: AbstractSet[Peer]) -> None:
        """Close the connections to all others; calls in flight may end first."""
        for endpoint in [where for where, peer in self.known.items() if peer not in staying]:
            del self._names[endpoint]
            peer = self.known.pop(endpoint)
            self._leaving.add(peer)
            task = asyncio.ensure_future(peer.close(RETIRE_S))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
            task.add_done_callback(lambda _, peer=peer: self._leaving.discard(peer))  # type: ignore[misc]

    async def close(self, grace: float | None) -> None:
        """Let calls under way end for `grace` seconds, then cancel them."""
        peers = [*self.known.values(), *self._leaving]
        self.known.clear()  # gRPC's descriptors go with the last who holds its channels
        await asyncio.gather(*(peer.close(grace) for peer in peers))
        for task in list(self._closing):
            task.cancel()
        await asyncio.gather(*self._closing, return_exceptions=True)
