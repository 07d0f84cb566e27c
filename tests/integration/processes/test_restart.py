"""`engine mesh restart`: no caller notices that the processes of a service are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest

from cli.names import OPERATOR
from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.app import host_id
from mesh.channel import Channel
from mesh.channel import registered as endpoints
from mesh.context import CALLER
from mesh.lane.dial import CARRIERS
from mesh.registry import DirectoryRegistry, Entry
from mesh.settings import Settings
from mesh.tokens import ServiceKey
from tests.integration.processes.conftest import EngineMesh, Serve

Registered = Callable[[str], list[Entry]]

CALLERS = 6


class Takers:
    """Callers that lease ids without pause: each call has an effect, and may be sent once only.

    Each takes from a sequence of its own: on one that all share, servers get in each other's way.
    """

    def __init__(self, var: Path, carriers: Sequence[str]) -> None:
        settings = Settings(var=var)
        key = ServiceKey.load(settings.key_dir, OPERATOR)
        registry = DirectoryRegistry(settings.run_dir)
        self.channel = Channel(
            "sequencer",
            endpoints(registry, "sequencer", host_id()),
            lambda: ((CALLER, key.token()),),
            carriers=carriers,
            prove=key.sign,
        )
        self._stub = SequencerServiceStub(self.channel)
        self.taken: list[int] = []

    async def take(self, name: str, until: asyncio.Event) -> None:
        """Call until the event, and once more. A call that fails fails the test."""
        sequence = pb.Sequence(name=name, kind=pb.SEQUENCE_KIND_SEGMENT)
        await self._stub.CreateSequence(pb.CreateSequenceRequest(sequence=sequence))
        first: list[int] = []
        is_last = False
        while not is_last:
            is_last = until.is_set()
            request = pb.LeaseRangeRequest(name=name, size=10, client_id="taker")
            first.append((await self._stub.LeaseRange(request)).lease.first)
        assert len({*first}) == len(first), "no id is leased twice"
        self.taken += first


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_call_fails_while_a_service_is_replaced(
    var: Path, serve: Serve, engine_mesh: EngineMesh, registered: Registered, workers: int
) -> None:
    """Neither by lanes nor the plain way, though none of the calls may be sent twice."""
    serving = serve("sequencer", "--workers", str(workers), lines=workers)
    before = {entry.pid for entry in registered("sequencer")}
    by_lane, plain = Takers(var, CARRIERS), Takers(var, ())
    end = asyncio.Event()
    async with by_lane.channel, plain.channel, asyncio.TaskGroup() as group:
        for number in range(CALLERS):
            group.create_task(by_lane.take(f"lane_{number}", end))
            group.create_task(plain.take(f"plain_{number}", end))
        for _ in range(2):
            done = await asyncio.to_thread(engine_mesh, "restart", "sequencer")
            assert done.returncode == 0, done.stderr
        end.set()
    after = {entry.pid for entry in registered("sequencer")}
    assert len(after) == workers
    assert not after & before
    assert min(len(by_lane.taken), len(plain.taken)) > CALLERS * workers
    serving.stop()


async def test_gateways_keep_their_port(
    serve: Serve, engine_mesh: EngineMesh, registered: Registered
) -> None:
    """Users know it: the successor listens there before the old one leaves."""
    serve("gateway", "--workers", "1")
    (before,) = registered("gateway")
    done = await asyncio.to_thread(engine_mesh, "restart", "gateway")
    assert done.returncode == 0, done.stderr
    (after,) = registered("gateway")
    assert after.pid != before.pid
    assert after.http == before.http
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"http://{after.http}/docs")).status_code == 200
