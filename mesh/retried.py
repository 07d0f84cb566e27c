"""A unary call that goes the ordinary way, and is sent again where that may be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from mesh.resilience import FAIR_S, Failure

if TYPE_CHECKING:
    from mesh.balancing import Balancer
    from mesh.peer import Peer
    from mesh.resilience import Retries


@dataclass(frozen=True, slots=True)
class Means:
    """What the tries of a call need.

    `choose` answers where a call of a method goes that failed at a peer.
    """

    balancer: Balancer
    retries: Retries
    choose: Callable[[str, Peer], Peer | None]


class Retried:
    """Awaited, it answers as the first of its tries that is not sent again.

    Everything else that a call offers is that of the latest try.

    Args:
        path: "/package.Service/Method".
        peer: where the first try goes.
        send: sends the call to a peer, within the seconds given.
        limit_s: seconds for all tries together.
        means: the channel's: where the next try goes, and whether there is one.
    """

    def __init__(
        self,
        path: str,
        peer: Peer,
        send: Callable[[Peer, float], Any],
        limit_s: float,
        means: Means,
    ) -> None:
        self._path = path
        self._peer = peer
        self._send = send
        self._means = means
        self._has_time = limit_s >= FAIR_S
        self._until = time.monotonic() + limit_s
        self._is_over = False
        self._call = send(peer, limit_s)

    def __await__(self) -> Generator[Any, None, Any]:
        return self._answer().__await__()

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        """Call `callback` with this call once its latest try has ended."""
        self._call.add_done_callback(lambda _: callback(self))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call, name)

    async def _answer(self) -> Any:
        tried = 1
        while not self._is_over:
            try:
                return await self._tried()
            except grpc.aio.AioRpcError as error:
                self._is_over = not await self._goes_on(error, tried)
                if self._is_over:
                    raise
                tried += 1
        return await self._call

    async def _tried(self) -> Any:
        reply = await self._call
        self._is_over = True
        self._peer.health.breaker(self._path).answered()
        return reply

    async def _goes_on(self, error: grpc.aio.AioRpcError, tried: int) -> bool:
        """Send the call again after an error, if that may be."""
        if error.code() is grpc.StatusCode.CANCELLED:
            return False
        means = self._means
        if self._has_time or error.code() is not grpc.StatusCode.DEADLINE_EXCEEDED:
            means.balancer.failed(self._peer, self._path, error.code())
        now = time.monotonic()
        wait_s = means.retries.wait_s(
            self._path,
            Failure.of(error),
            tried,
            left_s=self._until - now,
            now=now,
            elsewhere=means.balancer.has_others,
        )
        if wait_s is None:
            return False
        if wait_s:
            await asyncio.sleep(wait_s)
        return self._sent_again()

    def _sent_again(self) -> bool:
        peer, left_s = self._means.choose(self._path, self._peer), self._until - time.monotonic()
        if peer is None or left_s <= 0:
            return False
        self._peer, self._call = peer, self._send(peer, left_s)
        return True


grpc.aio.UnaryUnaryCall.register(Retried)
