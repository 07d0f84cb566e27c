"""Calls under way when the network between caller and server is cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

import mesh.lane
from engine.mesh.v1 import bus_pb2
from mesh.channel import Channel, Endpoint
from mesh.lane.stream import METHOD
from mesh.resilience import Counts
from mesh.telemetry import Meters
from mesh.testing import Link
from tests.integration.resilience.desk import outcome, until

BUS = bus_pb2.DESCRIPTOR.services_by_name["BusService"].full_name
ONCE, READ = f"/{BUS}/Append", f"/{BUS}/ListGroups"


class Place(grpc.GenericRpcHandler):
    """A server behind a link; it answers with its name, once it may."""

    def __init__(self, name: str) -> None:
        self.name = name.encode()
        self.asked = 0
        self.gate = asyncio.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        if details.method == METHOD:
            return None
        return grpc.unary_unary_rpc_method_handler(self.answer)

    async def answer(self, _request: bytes, _context: Any) -> bytes:
        self.asked += 1
        await self.gate.wait()
        return self.name


@asynccontextmanager
async def place(folder: Path, name: str) -> AsyncIterator[tuple[Place, Endpoint, list[Link]]]:
    """It, where it is reached, and the links to its lanes and to its ordinary address."""
    served = Place(name)
    server = mesh.lane.server(handlers=[served])
    plain, lane = f"unix:{folder}/{name}.sock", f"unix:{folder}/{name}.lane"
    server.add_insecure_port(plain)
    server.add_lane_port(lane)
    await server.start()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(server.stop, None)
        links = [await stack.enter_async_context(Link(address)) for address in (lane, plain)]
        yield served, Endpoint(links[1].address, (links[0].address,)), links


@pytest.mark.parametrize(("path", "end", "ran"), [(READ, "OK", 2), (ONCE, "UNAVAILABLE", 1)])
async def test_a_call_that_was_lost_runs_again_only_where_that_does_no_harm(
    var: Path, path: str, end: str, ran: int
) -> None:
    """Elsewhere, and at once."""
    meters = Meters()
    async with (
        place(var, "a") as (one, to_one, links),
        place(var, "b") as (other, to_other, _),
        Channel("t", [to_one, to_other], counts=Counts(meters)) as channel,
    ):
        call = channel.unary_unary(path)(b"", timeout=60)
        await until(lambda: one.asked == 1)
        other.gate.set()
        for link in links:
            link.cut()
        assert await outcome(call) == end
        assert one.asked + other.asked == ran
        assert meters.counter("mesh.retries").value == ran - 1


async def test_many_reads_under_way_are_all_answered_when_a_process_goes(var: Path) -> None:
    """The budget has enough for them."""
    async with (
        place(var, "a") as (one, to_one, links),
        place(var, "b") as (other, to_other, _),
        Channel("t", [to_one, to_other]) as channel,
    ):
        method = channel.unary_unary(READ)
        calls = [method(b"", timeout=60) for _ in range(128)]
        await until(lambda: one.asked + other.asked == len(calls))
        assert one.asked > 0
        other.gate.set()
        for link in links:
            link.cut()
        assert await asyncio.gather(*calls) == [b"b"] * len(calls)


async def test_a_large_request_is_sent_again_as_a_small_one(var: Path) -> None:
    """It goes the ordinary way, by the same rules."""
    meters = Meters()
    async with (
        place(var, "a") as (one, to_one, links),
        place(var, "b") as (other, to_other, _),
        Channel("t", [to_one, to_other], counts=Counts(meters)) as channel,
    ):
        call = channel.unary_unary(READ)(bytes(100_000), timeout=60)
        waiting = asyncio.ensure_future(outcome(call))
        await until(lambda: one.asked == 1)
        other.gate.set()
        for link in links:
            link.cut()
        assert await waiting == "OK"
        assert (one.asked, other.asked) == (1, 1)
        assert meters.counter("mesh.retries").value == 1
