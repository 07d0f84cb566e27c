"""The paths that a call can take, and the client's side of each.

What a call does on `reference`, from grpcio's client to grpcio's server, is what the
suite expects on all others; where a path must differ, `differences` says so and why.
"""

from __future__ import annotations

import json
import os
import pathlib
import tempfile
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc

from loadtests.bench.mesh_tls import LanesAlone, write_certificate
from mesh.channel import Channel
from mesh.lane import CARRIERS, Endpoint
from mesh.resilience import Resilience
from tests.conformance.calls.contract import messages, stubs
from tests.conformance.calls.differences import differs
from tests.conformance.calls.peer import MAX_MESSAGE, Host, Places, Serving, certificate
from tests.conformance.calls.process import PeerProcess

PEER_PYTHON: Final = "ENGINE_PEER_PYTHON"
"""Names the interpreter that peers run under, in processes of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """One way of a call.

    `server` is the kind of server at its end; `carriers` are the lanes that the
    mesh's channel may use, None stands for grpcio's own channel.
    """

    name: str
    server: str = "lane"
    carriers: tuple[str, ...] | None = ()

    @property
    def is_lane(self) -> bool:
        """Whether unary calls go by lane."""
        return bool(self.carriers)

    @property
    def is_mesh(self) -> bool:
        """Whether the channel is the mesh's own."""
        return self.carriers is not None

    def differs(self, semantic: str) -> bool:
        """Whether it differs from grpcio in this; the table of differences says why."""
        return differs(self.name, semantic)

    @staticmethod
    def certified(folder: pathlib.Path) -> pathlib.Path:
        """A folder with the certificate that lanes over TLS need."""
        write_certificate(folder)
        return folder

    def open(self, places: Places, folder: pathlib.Path) -> grpc.aio.Channel:
        """A channel that takes this path."""
        if self.carriers is None:
            options = (
                ("grpc.max_receive_message_length", MAX_MESSAGE),
                ("grpc.use_local_subchannel_pool", 1),
            )
            return grpc.aio.insecure_channel(places.address, options=options)
        return Channel(
            "conformance",
            [Endpoint(places.address, tuple(places.lanes))],
            carriers=self.carriers,
            tls=LanesAlone(certificate(folder)),
            resilience=Resilience(breaker=False),  # most calls of this suite fail, as they are to
        )


PATHS: Final = (
    Path(name="reference", server="stock", carriers=None),
    Path(name="stock", carriers=None),
    Path(name="plain"),
    *(Path(name=carrier, carriers=(carrier,)) for carrier in CARRIERS),
)


def peer(serving: Serving) -> AbstractAsyncContextManager[Host | PeerProcess]:
    """The server's side: in this process, or under the interpreter that is asked for."""
    python = os.environ.get(PEER_PYTHON)
    return PeerProcess(serving, python) if python else Host(serving)


class Client:
    """The client's side of a test on one path."""

    def __init__(self, path: Path, places: Places, channel: Any, control: Any) -> None:
        self.path = path
        self.places = places
        self.channel = channel
        self.stub = stubs().BehaviourServiceStub(channel)
        self.interop = stubs().InteropServiceStub(channel)
        self._control = stubs().ControlServiceStub(control)

    def request(self, behaviour: str, payload: bytes = b"", size: int = 0) -> Any:
        """A request for a behaviour, with an id of its own."""
        return messages().ActRequest(
            behaviour=behaviour, id=uuid.uuid4().hex, payload=payload, size=size
        )

    def act(self, behaviour: str, payload: bytes = b"", **options: Any) -> Any:
        """A call whose handler's notes nobody asks for."""
        return self.stub.Act(self.request(behaviour, payload), **options)

    async def noted(self, request: Any, event: str) -> Any:
        """What the handler of a request notes under an event, once it does."""
        note = messages().NoteRequest(id=request.id, event=event)
        return json.loads((await self._control.Note(note, timeout=10)).value)

    async def release(self, request: Any) -> None:
        """Let the handler of a request go on."""
        await self._control.Release(messages().NoteRequest(id=request.id))

    async def stop(self, grace_s: float) -> None:
        """Stop the server under test; return when it has stopped."""
        await self._control.Stop(messages().StopRequest(grace_s=grace_s))


@asynccontextmanager
async def connected(path: Path, **serving: Any) -> AsyncIterator[Client]:
    """A server of the path's kind and a client of it."""
    async with AsyncExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="engine-", dir="/tmp"))
        folder = pathlib.Path(name)
        write_certificate(folder)
        asked = Serving(kind=path.server, folder=name, **serving)
        places = (await stack.enter_async_context(peer(asked))).places
        channel = await stack.enter_async_context(path.open(places, folder))
        control = await stack.enter_async_context(grpc.aio.insecure_channel(places.control))
        if path.is_lane:
            await channel.channel_ready()
        yield Client(path, places, channel, control)
