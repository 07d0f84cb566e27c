"""A server that takes lanes: its sockets, its start and stop, and clients that behave badly."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

import mesh.lane
from mesh.lane import hello as opening
from mesh.lane import host as module
from mesh.lane import ports
from mesh.lane import socket as carriers
from mesh.lane.frames import Kind, encode, server_batch
from mesh.lane.socket import LENGTH
from tests.unit.mesh.lane.test_dial import Echo


class Held(grpc.GenericRpcHandler):
    """Answers never; notes what was begun and what was cancelled."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.ended = asyncio.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(self.hold) if "Hold" in details.method else None

    async def hold(self, _request: bytes, _context: Any) -> Any:
        self.begun.set()
        try:
            return await asyncio.get_running_loop().create_future()
        finally:
            self.ended.set()


class Raw:
    """A client that says over a Unix socket what the test makes up."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def open(self) -> Raw:
        """Take part in the hellos."""
        await self.hear()
        self.say(opening.write(opening.ClientHello(opening.MAGIC)))
        await self.hear()
        return self

    def say(self, batch: bytes) -> None:
        self.writer.write(len(batch).to_bytes(LENGTH, "little") + batch)

    def send(self, methods: Any = (), calls: Any = (), control: Any = ()) -> None:
        batch: Any = methods, (), calls, control
        self.say(encode(batch))

    async def hear(self) -> bytes:
        size = int.from_bytes(await self.reader.readexactly(LENGTH), "little")
        batch: bytes = await self.reader.readexactly(size)
        return batch

    async def farewell(self) -> str:
        """Why the server closes the connection."""
        while True:
            *_, control = server_batch(await self.hear())
            for kind, _, reason in control:
                if kind == Kind.GO_AWAY:
                    assert await self.reader.read() == b""
                    self.writer.close()
                    return reason


@pytest.fixture
def held() -> Held:
    """Handlers that never answer."""
    return Held()


@pytest.fixture
async def server(var: Path, held: Held) -> AsyncIterator[Any]:
    """A server with one Unix socket for lanes."""
    server = mesh.lane.server(handlers=[held, Echo()])
    server.add_lane_port(f"unix:{var}/s.lane")
    await server.start()
    yield server
    await server.stop(None)


@pytest.fixture
def path(var: Path) -> str:
    """Where it takes lanes."""
    return f"{var}/s.lane"


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop turn until something holds."""
    for _ in range(100_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never does")


Connect = Callable[[str], Awaitable[Raw]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Connects clients, and hangs up at last."""
    clients: list[Raw] = []

    async def connected(path: str) -> Raw:
        clients.append(Raw(*await asyncio.open_unix_connection(path)))
        return clients[-1]

    yield connected
    for client in clients:
        client.writer.close()


# Sockets.


Serve = Callable[[str], Awaitable[mesh.lane.LaneServer]]


@pytest.fixture
async def serve_at() -> AsyncIterator[Serve]:
    """Serves lanes at a path, and stops at last."""
    servers: list[mesh.lane.LaneServer] = []

    async def start(path: str) -> mesh.lane.LaneServer:
        server = mesh.lane.server(handlers=[Echo()])
        server.add_lane_port(f"unix:{path}")
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop(None)


async def test_a_stale_socket_is_removed_after_a_refused_connect(
    serve_at: Serve, connect: Connect, var: Path
) -> None:
    """A process that was killed leaves one behind."""
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{var}/s.lane")
    await serve_at(f"{var}/s.lane")
    await (await connect(f"{var}/s.lane")).open()


async def test_a_socket_that_answers_is_not_taken_away(
    serve_at: Serve, connect: Connect, server: Any, path: str
) -> None:
    """The second server fails, and the first serves on."""
    with pytest.raises(OSError, match="another process listens there"):
        await serve_at(path)
    await (await connect(path)).open()


async def test_a_file_that_is_no_socket_is_not_removed(serve_at: Serve, var: Path) -> None:
    """It is somebody's."""
    (var / "s.lane").write_text("precious")
    with pytest.raises(OSError, match=r"s\.lane"):
        await serve_at(f"{var}/s.lane")
    assert (var / "s.lane").read_text() == "precious"


async def test_unix_path_has_107_bytes_at_most(
    serve_at: Serve, connect: Connect, var: Path
) -> None:
    """The error says so; a path of just so many is served."""
    room = ports.MAX_SOCKET_PATH - len(os.fsencode(var)) - 1
    with pytest.raises(OSError, match="too long"):
        await serve_at(f"{var}/{'x' * (room + 1)}")
    await serve_at(f"{var}/{'x' * room}")
    await (await connect(f"{var}/{'x' * room}")).open()


async def test_a_folder_that_others_can_enter_is_refused(serve_at: Serve, var: Path) -> None:
    """They could put their own socket there."""
    folder = var / "open"
    folder.mkdir(mode=0o755)
    with pytest.raises(OSError, match="chmod 700"):
        await serve_at(f"{folder}/s.lane")


async def test_a_start_that_fails_leaves_nothing_behind(connect: Connect, var: Path) -> None:
    """The sockets that were bound before are closed."""
    (var / "taken").mkdir(mode=0o755)
    server = mesh.lane.server(handlers=[Echo()])
    server.add_lane_port(f"unix:{var}/s.lane")
    server.add_lane_port(f"unix:{var}/taken/s.lane")
    with pytest.raises(OSError, match="chmod"):
        await server.start()
    with pytest.raises(ConnectionError):
        await connect(f"{var}/s.lane")


@pytest.mark.parametrize(
    ("address", "tls"), [("127.0.0.1:0", None), ("unix:/x", "context"), ("nonsense", None)]
)
def test_lanes_over_tcp_need_tls_and_over_unix_have_none(address: str, tls: Any) -> None:
    """Nothing is ever sent in the clear between hosts."""
    server = module.LaneServer(_plain(), {}, check=None, window=1)
    with pytest.raises(ValueError, match="TLS"):
        server.add_lane_port(address, tls)


def _plain() -> Any:
    """A gRPC server that is never started."""
    return SimpleNamespace(add_generic_rpc_handlers=lambda _: None)


def test_interceptors_that_would_be_passed_by_are_refused() -> None:
    """One may be what keeps strangers out."""
    with pytest.raises(ValueError, match="interceptors"):
        mesh.lane.server(interceptors=[object()])


# Clients.


async def test_a_client_that_breaks_a_rule_is_told_and_cut_off(
    connect: Connect, server: Any, path: str, held: Held
) -> None:
    """Its calls are cancelled, the server forgets it."""
    raw = await (await connect(path)).open()
    raw.send([(1, "/t.T/Hold")], [(1, 1, 0, 0, b"", [], b"")])
    await held.begun.wait()
    raw.send(control=[(99, 0, "")])
    assert await raw.farewell() == "the client sent a control frame of kind 99"
    await held.ended.wait()
    await until(lambda: not server._lanes)
    assert server._in_flight == 0


@pytest.mark.parametrize(
    "said",
    [b"\xff\xff\xff\x7f", b"\x05\0\0\0GET /", b"\x01\0\0\0\x90"],
    ids=["too long", "http", "nothing"],
)
async def test_what_is_no_hello_is_told_so_and_cut_off(
    connect: Connect, server: Any, path: str, said: bytes
) -> None:
    """Whatever it was meant to be."""
    raw = await connect(path)
    await raw.hear()
    raw.writer.write(said)
    assert await raw.farewell()
    await until(lambda: not server._lanes)


async def test_a_client_that_does_not_read_is_broken_off_all_the_same(
    connect: Connect, server: Any, path: str, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits to be sent to it does not keep its calls, or the server, alive."""
    monkeypatch.setattr(carriers, "CLOSE_S", 0.05)
    raw = await (await connect(path)).open()
    raw.writer.transport.pause_reading()  # type: ignore[attr-defined]
    echo: list[Any] = [(n, 1, 0, 0, b"", [], bytes(60_000)) for n in range(1, 200)]
    raw.send([(1, "/t.T/Echo"), (2, "/t.T/Hold")], [(200, 2, 0, 0, b"", [], b"")])
    await held.begun.wait()
    for number, *rest in echo:
        raw.send(calls=[(number + 200, *rest)])
    (lane,) = server._lanes
    await until(lambda: lane._carrier._is_paused)
    lane_ends = asyncio.Event()
    left = server.left

    def note(lane: Any) -> None:
        left(lane)
        lane_ends.set()

    monkeypatch.setattr(server, "left", note)
    raw.send(control=[(99, 0, "")])
    await held.ended.wait()
    await lane_ends.wait()
    assert server._in_flight == 0


async def test_a_client_that_says_no_hello_is_cut_off(
    serve_at: Serve, connect: Connect, path: str, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever only connects holds nothing for long."""
    monkeypatch.setattr(module, "HELLO_S", 0.02)
    server = await serve_at(path)
    raw = await connect(path)
    await raw.hear()
    assert await raw.reader.read() == b""
    assert not server._lanes


async def test_no_more_lanes_are_taken_than_so_many(
    connect: Connect, server: Any, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further clients are hung up on, and are served the ordinary way."""
    monkeypatch.setattr(module, "MAX_LANES", 1)
    first = await (await connect(path)).open()
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await (await connect(path)).open()
    first.writer.close()
    await until(lambda: not server._lanes)
    await (await connect(path)).open()


async def test_a_client_that_was_silent_for_long_is_dropped(
    connect: Connect, serve_at: Serve, path: str, var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that is gone without a word says no farewell."""
    monkeypatch.setattr(module, "LOOK_S", 0.01)
    monkeypatch.setattr(module, "SILENT_S", -1.0)
    server = await serve_at(path)
    raw = await connect(path)
    await raw.reader.read()
    await until(lambda: not server._lanes)


# Methods.


class Everything(grpc.GenericRpcHandler):
    """Serves whatever is asked for, as a gateway does."""

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.unary_unary_rpc_method_handler(Echo().echo)


async def test_methods_that_strangers_make_up_are_not_kept_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A handler of everything finds each of them."""
    monkeypatch.setattr(module, "MAX_KNOWN", 10)
    server = module.LaneServer(_plain(), {"handlers": [Everything()]}, check=None, window=1)
    assert all(server.find(f"/m{n}") for n in range(100))
    assert len(server._methods) == 10


# The end.


async def test_stopping_tells_every_client_and_waits_for_what_it_accepted(
    connect: Connect, server: Any, path: str
) -> None:
    """An idle one leaves at once."""
    raw = await (await connect(path)).open()
    stopping = asyncio.ensure_future(server.stop(1e6))
    assert await raw.farewell() == "the server stops"
    await stopping
    assert not server._lanes


async def test_stopping_without_grace_cancels_what_runs(
    connect: Connect, server: Any, path: str, held: Held
) -> None:
    """It does not wait for a handler that never answers."""
    raw = await (await connect(path)).open()
    raw.send([(1, "/t.T/Hold")], [(1, 1, 0, 0, b"", [], b"")])
    await held.begun.wait()
    await server.stop(None)
    await held.ended.wait()
