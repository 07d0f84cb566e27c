"""The two ends of lanes in fault tests: servers as processes, and clients with links in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import grpc

from loadtests.bench.mesh_tls import LanesAlone
from loadtests.lanes.asked import AGAIN, COUNTS, ONCE, Asked, know_contract
from loadtests.lanes.peer import Place, runs
from loadtests.processes import Worker
from mesh.channel import Channel
from mesh.lane import STREAM, Endpoint
from mesh.lane.keeper import State
from mesh.testing import Link

LONG_S: Final = 60.0
"""A deadline that no test waits for, of calls and of what tests wait for."""
LOOK_S: Final = 0.02

_numbers = count(1)

know_contract()


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A peer, and the process that it is."""

    place: Place
    process: Worker

    def times_run(self, number: int) -> int:
        """How often it ran a call."""
        return [each for _, each in runs(self.place.folder)].count(number)

    async def has_run(self, number: int) -> None:
        """Return once it runs a call."""
        await until(lambda: self.times_run(number) > 0)

    async def has_no(self, part: str) -> None:
        """Return once it holds none of a part of its counts."""
        async with asyncio.timeout(LONG_S):
            while (await self.counts())[part]:  # noqa: ASYNC110 - another process has no events
                await asyncio.sleep(LOOK_S)

    async def counts(self) -> dict[str, Any]:
        """What it holds."""
        async with grpc.aio.insecure_channel(self.place.endpoint.address) as channel:
            ask: Any = channel.unary_unary(COUNTS)
            return dict(json.loads(await ask(b"", timeout=LONG_S)))

    @property
    def _proc(self) -> Path:
        assert self.process._process is not None
        return Path(f"/proc/{self.process._process.pid}")

    def forget_peak(self) -> None:
        """Measure the peak of its memory anew."""
        (self._proc / "clear_refs").write_text("5")

    @property
    def peak_bytes(self) -> int:
        """The most memory that it had in use."""
        (line,) = [x for x in (self._proc / "status").read_text().splitlines() if "VmHWM" in x]
        return int(line.split()[1]) << 10


@contextmanager
def serve(folder: Path) -> Iterator[Server]:
    """A peer of one's own; its folder is not there yet."""
    place = Place.fresh(folder)
    with place.worker(note_runs=True) as process:
        yield Server(place=place, process=process)


class Client:
    """A channel over one carrier; a link is in the way of its lanes when it is asked for."""

    def __init__(self, channel: Channel, link: Link | None = None) -> None:
        self.channel = channel
        self._link = link

    @property
    def link(self) -> Link:
        assert self._link is not None
        return self._link

    def once(self, asked: Asked, timeout: float = LONG_S) -> Any:
        """A call that must not be repeated."""
        return self.channel.unary_unary(ONCE)(asked.to_bytes(), timeout=timeout)

    def again(self, asked: Asked, timeout: float = LONG_S) -> Any:
        """A call that may be."""
        return self.channel.unary_unary(AGAIN)(asked.to_bytes(), timeout=timeout)

    async def is_answered(self) -> None:
        """Return once a call is answered, and a lane is open."""
        async with asyncio.timeout(LONG_S):
            while not self.has_lane():
                with suppress(grpc.aio.AioRpcError):
                    await self.again(ask())
                await asyncio.sleep(LOOK_S)

    def has_lane(self, server: Server | None = None) -> bool:
        """Whether a lane is open, to a server where one is named."""
        peers = [
            peer
            for peer in self.channel.balancer.peers.known.values()
            if server is None or peer.endpoint == server.place.endpoint
        ]
        return any(lane.state is State.OPEN for peer in peers for lane in peer._lanes)


async def open_client(stack: AsyncExitStack, carrier: str, *servers: Server) -> Client:
    """A client of some servers, connected."""
    endpoints = [server.place.endpoint for server in servers]
    return await _connected(stack, carrier, endpoints, servers[0].place)


async def open_by_link(stack: AsyncExitStack, carrier: str, server: Server) -> Client:
    """A client whose lanes go by a link."""
    endpoint = server.place.endpoint
    if carrier == STREAM:
        link = await stack.enter_async_context(Link(endpoint.address))
        by_link = Endpoint(link.address)
    else:
        (lane,) = [lane for lane in endpoint.lanes if lane.startswith(carrier)]
        link = await stack.enter_async_context(Link(lane))
        by_link = Endpoint(endpoint.address, (link.address,))
    return await _connected(stack, carrier, [by_link], server.place, link)


async def _connected(
    stack: AsyncExitStack,
    carrier: str,
    endpoints: Sequence[Endpoint],
    place: Place,
    link: Link | None = None,
) -> Client:
    tls = LanesAlone(place.certificate)
    channel = Channel("fault", endpoints, carriers=(carrier,), tls=tls)
    await stack.enter_async_context(channel)
    client = Client(channel, link)
    await client.is_answered()
    return client


def ask(**options: Any) -> Asked:
    """A call with a number of its own."""
    return Asked(number=next(_numbers), **options)


async def until(holds: Callable[[], bool]) -> None:
    """Return once something holds."""
    async with asyncio.timeout(LONG_S):
        while not holds():  # noqa: ASYNC110 - other processes have no events for us
            await asyncio.sleep(LOOK_S)


async def code_of(call: Awaitable[Any]) -> grpc.StatusCode:
    """How a call ends."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK
