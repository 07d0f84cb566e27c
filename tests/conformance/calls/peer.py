"""The server's side of a test: the server under test, and a server to control it by.

Run as a program it serves for a test in another process, with whatever release of the
platform its interpreter has: `python -m tests.conformance.calls.peer '{"kind": "lane"}'`
prints where it serves as one line of JSON and ends when its input does.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import grpc

from mesh import lane
from mesh.tls import Certificate
from tests.conformance.calls.contract import stubs
from tests.conformance.calls.interop import add_interop
from tests.conformance.calls.notes import Book, Notes
from tests.conformance.calls.raw import RAW, ByMetadata
from tests.conformance.calls.service import BehaviourService, ControlService

HOST: Final = "127.0.0.1"
NO_REUSE: Final = ("grpc.so_reuseport", 0)
MAX_MESSAGE: Final = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """What a peer shall serve, and where.

    `kind` is "stock" for a server of grpcio alone and "lane" for one with lanes; these
    have their Unix socket in `folder`, and their certificates lie there.
    """

    kind: str
    folder: str
    port: int = 0
    maximum_concurrent_rpcs: int | None = None
    max_receive: int = MAX_MESSAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a peer serves: plain gRPC, the control of the test, lanes as endpoints have them."""

    address: str
    control: str
    lanes: tuple[str, ...] = ()


def certificate(folder: Path) -> Certificate:
    """What both ends of a lane over TLS show and trust; the test has left it there."""
    path = str(folder / "certificate.pem")
    return Certificate(path, path, path)


class Host:
    """A peer within this process, as an async context manager."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._book: Book = Book(Notes)

    async def __aenter__(self) -> Self:
        self._server = self._create()
        add_interop(self._server)
        stubs().add_BehaviourServiceServicer_to_server(BehaviourService(self._book), self._server)
        self._server.add_generic_rpc_handlers((RAW, ByMetadata()))
        port = self._server.add_insecure_port(f"{HOST}:{self._serving.port}")
        lanes = self._add_lanes()
        await self._server.start()
        if lanes:
            lanes = (*lanes, f"tls:{HOST}:{self._server.lane_ports[0]}")
        control = await self._start_control()
        self.places = Places(address=f"{HOST}:{port}", control=f"{HOST}:{control}", lanes=lanes)
        return self

    def _create(self) -> Any:
        create = grpc.aio.server if self._serving.kind == "stock" else lane.server
        return create(
            options=[NO_REUSE, ("grpc.max_receive_message_length", self._serving.max_receive)],
            maximum_concurrent_rpcs=self._serving.maximum_concurrent_rpcs,
        )

    def _add_lanes(self) -> tuple[str, ...]:
        if self._serving.kind == "stock":
            return ()
        folder = Path(self._serving.folder)
        socket = f"unix:{folder / 'peer.lane'}"
        self._server.add_lane_port(socket)
        self._server.add_lane_port(f"{HOST}:0", certificate(folder).load().server)
        return (socket,)

    async def _start_control(self) -> int:
        self._control = grpc.aio.server(options=(NO_REUSE,))
        servicer = ControlService(self._book, self.stop)
        stubs().add_ControlServiceServicer_to_server(servicer, self._control)
        port: int = self._control.add_insecure_port(f"{HOST}:0")
        await self._control.start()
        return port

    async def stop(self, grace_s: float) -> None:
        """Stop the server under test; calls in flight may take `grace_s` seconds."""
        await self._server.stop(grace_s)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._server.stop(None)
        await self._control.stop(None)


async def _serve(serving: Serving) -> None:
    async with Host(serving) as host:
        print(json.dumps(asdict(host.places)), flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve(Serving(**json.loads(sys.argv[1]))))
