"""A process that serves over all carriers: `python -m loadtests.lanes.peer FOLDER PORT TLS_PORT`.

It notes each call that it runs in `FOLDER/runs`, before anything else, when it is run with
`NOTE_RUNS=1`. On SIGTERM it ends in good order.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop

from loadtests.bench.mesh_tls import FILE, certificate_in, write_certificate
from loadtests.lanes.asked import (
    AGAIN,
    BLOCKS,
    COUNTS,
    CUT,
    ECHOES,
    LAST,
    LOSE,
    ONCE,
    PIECES,
    Asked,
    status,
)
from loadtests.lanes.counts import counts
from loadtests.processes import Worker, serving
from loadtests.servers import free_port
from mesh import lane
from mesh.lane import Endpoint
from mesh.tls import Certificate

GRACE_S: Final = 5.0
"""How long calls under way may take when it ends in good order."""
PIECE: Final = 16 << 10
RUNS: Final = "runs"
SOCKET: Final = "lane.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a peer serves; the same over its lives.

    The folder that its own is in has the certificate, which all peers there share.
    """

    folder: Path
    port: int
    tls_port: int

    @classmethod
    def fresh(cls, folder: Path) -> Place:
        """Free ports, and a folder for the socket."""
        folder.mkdir(mode=0o700)
        if not (folder.parent / FILE).exists():
            write_certificate(folder.parent)
        return cls(folder=folder, port=free_port(), tls_port=free_port())

    @property
    def unix(self) -> str:
        """Its Unix socket."""
        return f"unix:{self.folder / SOCKET}"

    @property
    def certificate(self) -> Certificate:
        """What both ends show and trust."""
        return certificate_in(self.folder.parent)

    @property
    def endpoint(self) -> Endpoint:
        """Where clients reach it."""
        return Endpoint(f"127.0.0.1:{self.port}", (self.unix, f"tls:127.0.0.1:{self.tls_port}"))

    def worker(self, *, note_runs: bool = False) -> Worker:
        """The process, to be entered."""
        return Worker(
            "loadtests.lanes.peer",
            str(self.folder),
            str(self.port),
            str(self.tls_port),
            log=self.folder / "log",
            environ={"NOTE_RUNS": "1" if note_runs else ""},
        )


class Peer(grpc.GenericRpcHandler):
    """Serves what `asked` says.

    Args:
        note: told of each call that is run.
        lose: closes all lanes.
    """

    def __init__(self, note: Callable[[str, int], None], lose: Callable[[bytes], None]) -> None:
        self._note = note
        self._lose = lose
        self._at_first: dict[str, int] = {}
        unary = grpc.unary_unary_rpc_method_handler
        self._methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            ONCE: unary(self._once),
            AGAIN: unary(self._again),
            PIECES: grpc.unary_stream_rpc_method_handler(self._pieces),
            ECHOES: grpc.stream_stream_rpc_method_handler(self._echoes),
            LAST: grpc.stream_unary_rpc_method_handler(self._last),
            BLOCKS: unary(self._blocks),
            COUNTS: unary(self._counts),
            LOSE: unary(self._lost),
        }

    def remember(self) -> None:
        """Tell, beside later counts, what they are now."""
        self._at_first = counts()

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        return self._methods.get(details.method)

    async def _once(self, request: bytes, context: Any) -> bytes:
        return await self._run("once", request, context)

    async def _again(self, request: bytes, context: Any) -> bytes:
        return await self._run("again", request, context)

    async def _run(self, method: str, request: bytes, context: Any) -> bytes:
        asked = Asked.read(request)
        self._note(method, asked.number)
        if asked.hold_s:
            await asyncio.sleep(asked.hold_s)
        if asked.code:
            await context.abort(status(asked), f"as call {asked.number} asked")
        return asked.answer()

    async def _pieces(self, request: bytes, context: Any) -> AsyncIterator[bytes]:  # noqa: ARG002
        asked = Asked.read(request)
        answer = asked.answer()
        for at in range(0, len(answer), PIECE):
            yield answer[at : at + PIECE]
        await asyncio.sleep(asked.hold_s)

    async def _echoes(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:  # noqa: ARG002
        async for request in requests:
            yield request

    async def _last(self, requests: AsyncIterator[bytes], context: Any) -> bytes:  # noqa: ARG002
        last = b""
        async for request in requests:
            self._note("last", Asked.read(request).number)
            last = request
        return last

    def _blocks(self, request: bytes, context: Any) -> bytes:  # noqa: ARG002
        asked = Asked.read(request)
        self._note("blocks", asked.number)
        time.sleep(asked.hold_s)
        return asked.answer()

    async def _counts(self, request: bytes, context: Any) -> bytes:  # noqa: ARG002
        return json.dumps({**counts(), "at first": self._at_first}).encode()

    async def _lost(self, request: bytes, context: Any) -> bytes:  # noqa: ARG002
        self._lose(request)
        return b""


async def serve(place: Place, note: Callable[[str, int], None]) -> None:
    """Be a peer until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = lane.server(options=(("grpc.so_reuseport", 0),))
    peer = Peer(note, lambda how: _lose(server, how))
    server.add_generic_rpc_handlers((peer,))
    server.add_insecure_port(f"127.0.0.1:{place.port}")
    server.add_lane_port(place.unix)
    server.add_lane_port(f"127.0.0.1:{place.tls_port}", place.certificate.load().server)
    await server.start()
    peer.remember()
    serving()
    await stop.wait()
    await server.stop(GRACE_S)


def _lose(server: lane.LaneServer, how: bytes) -> None:
    for each in list(server._lanes):  # noqa: SLF001 - nobody but a test closes lanes of others
        if how == CUT:
            each.abort()
        else:
            each.go_away("as was asked")


def noting(folder: Path) -> Callable[[str, int], None]:
    """Notes runs on file at once: what is noted outlives a killed process."""
    file = os.open(folder / RUNS, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    return lambda method, number: _written(file, f"{method} {number}\n".encode())


def _written(file: int, line: bytes) -> None:
    os.write(file, line)


def runs(folder: Path) -> list[tuple[str, int]]:
    """The calls that a peer ran in all its lives: method and number."""
    path = folder / RUNS
    lines = path.read_text().splitlines() if path.exists() else []
    return [(method, int(number)) for method, number in map(str.split, lines)]


def main(folder: str, port: str, tls_port: str) -> None:
    """Serve with uvloop."""
    place = Place(folder=Path(folder), port=int(port), tls_port=int(tls_port))
    note = noting(place.folder) if os.environ.get("NOTE_RUNS") else lambda *_: None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(place, note))


if __name__ == "__main__":
    main(*sys.argv[1:])
