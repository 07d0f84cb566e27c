"""A server of lanes and plain gRPC in a thread of its own, for tests that block."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any, Final

import grpc

import engine.sequencer.v1.sequencer_pb2  # noqa: F401 - what the contract lets be sent twice
from mesh import lane
from mesh.errors import MeshError, MeshReason
from mesh.lane import Endpoint
from mesh.lane.context import LaneContext

ONCE: Final = "/test.Blocking/"
"""Methods that no contract of this process lets be sent twice."""
REPEATABLE: Final = "/engine.sequencer.v1.SequencerService/GetSequence"
"""One that a contract does; it does what its request names."""


class BlockingServer:
    """Answers raw bytes; what a method does is its name."""

    def __init__(self, folder: str, *, lanes: bool = True) -> None:
        self._folder = folder
        self._has_lanes = lanes
        self.lane = f"unix:{folder}/peer.lane"
        self.seen: Counter[str] = Counter()
        self.metadata: list[dict[str, Any]] = []
        self.holding, self.cancelled = Event(), Event()
        self._ready, self._stopped = Event(), asyncio.Event()

    @property
    def endpoint(self) -> Endpoint:
        """With its lane, if it has one."""
        return Endpoint(self.address, (self.lane,) if self._has_lanes else ())

    def start(self) -> None:
        """Serve; return when calls are taken."""
        self._thread = Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(30)

    def stop(self) -> None:
        """Stop at once, if it has not stopped before; calls under way are lost."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopped.set)
            self._thread.join()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._release = asyncio.Event()
        server = lane.server()
        server.add_generic_rpc_handlers((_Handlers(self),))
        port = server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        if self._has_lanes:
            server.add_lane_port(self.lane)
        await server.start()
        self._ready.set()
        await self._stopped.wait()
        await server.stop(None)

    # The methods.

    async def unary(self, name: str, request: bytes, context: Any) -> bytes:
        """Do what `name` says."""
        self.seen[name] += 1
        self.metadata.append(dict(context.invocation_metadata()))
        if name == "Hold":
            await self._hold()
        elif name == "Refuse":
            status = MeshError(MeshReason.UNAVAILABLE, "as asked").to_status()
            trailing = (("grpc-status-details-bin", status.SerializeToString()), ("x-last", "1"))
            await context.abort(grpc.StatusCode.ABORTED, "as asked", trailing)
        elif name == "Die":
            self._stopped.set()
            await self._hold()
        elif name == "Tell":
            await context.send_initial_metadata((("x-first", "1"),))
            context.set_trailing_metadata((("x-last-bin", b"\x00"),))
        elif name == "Echo":
            return request
        return b"lane" if isinstance(context, LaneContext) else b"plain"

    async def _hold(self) -> None:
        self.holding.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, server: BlockingServer) -> None:
        self._server = server

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        name = details.method.rpartition("/")[2]

        async def unary(request: bytes, context: Any) -> bytes:
            asked = request.decode() if name == "GetSequence" else name
            return await self._server.unary(asked, request, context)

        if name == "Count":
            return grpc.unary_stream_rpc_method_handler(_count)
        if name == "Sum":
            return grpc.stream_unary_rpc_method_handler(_sum)
        if name == "Back":
            return grpc.stream_stream_rpc_method_handler(_back)
        return grpc.unary_unary_rpc_method_handler(unary)


async def _count(request: bytes, _: Any) -> AsyncIterator[bytes]:
    for number in range(int(request)):
        yield str(number).encode()


async def _sum(requests: AsyncIterator[bytes], _: Any) -> bytes:
    return str(sum([int(request) async for request in requests])).encode()


async def _back(requests: AsyncIterator[bytes], _: Any) -> AsyncIterator[bytes]:
    async for request in requests:
        yield request


@contextmanager
def serving(*, lanes: bool = True) -> Iterator[BlockingServer]:
    """A server that runs within the block."""
    with tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp") as folder:
        server = BlockingServer(folder, lanes=lanes)
        server.start()
        try:
            yield server
        finally:
            server.stop()
