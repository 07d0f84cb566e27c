"""`engine mesh restart`: no caller notices that the processes of a service are replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

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
from tests.integration.processes.conftest import Engine, Serve

Registered = Callable[[str], list[Entry]]

CALLERS = 6
SEQUENCE = "shop.order"


class Takers:
    """Callers that lease ids without pause: each call has an effect, and may be sent once only."""

    def __init__(self, var: Path, carriers: Sequence[str]) -> None:
        settings = Settings(var=var)
        key = ServiceKey.load(settings.key_dir, OPERATOR)
        registry = DirectoryRegistry(settings.run_dir)
        self._channel = Channel(
            "sequencer",
            endpoints(registry, "sequencer", host_id()),
            lambda: ((CALLER, key.token()),),
            carriers=carriers,
            prove=key.sign,
        )
        self._stub = SequencerServiceStub(self._channel)
        self.taken: list[range] = []

    async def create(self) -> None:
        """Make the sequence that ids are taken from."""
        made = pb.CreateSequenceRequest(
            sequence=pb.Sequence(name=SEQUENCE, kind=pb.SEQUENCE_KIND_SEGMENT)
        )
        await self._stub.CreateSequence(made)

    async def take(self, until: asyncio.Event) -> None:
        """Call until the event, and once more. A call that fails fails the test."""
        name = f"taker-{id(asyncio.current_task())}"
        is_last = False
        while not is_last:
            is_last = until.is_set()
            request = pb.LeaseRangeRequest(name=SEQUENCE, size=10, client_id=name)
            answer = await self._stub.LeaseRange(request)
            self.taken.append(range(answer.lease.first, answer.lease.first + answer.lease.size))

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()


@pytest.mark.parametrize("workers", [1, 2])
async def test_no_call_fails_while_a_service_is_replaced(
    var: Path, serve: Serve, engine: Engine, registered: Registered, workers: int
) -> None:
    """Neither by lanes nor the plain way, and no call is run twice: no id is leased twice."""
    serving = serve("sequencer", "--workers", str(workers), lines=workers)
    before = {entry.pid for entry in registered("sequencer")}
    by_lane, plain = Takers(var, CARRIERS), Takers(var, ())
    await by_lane.create()
    end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for taker in (by_lane, plain):
            for _ in range(CALLERS):
                group.create_task(taker.take(end))
        for _ in range(2):
            done = await asyncio.to_thread(engine, "mesh", "restart", "sequencer")
            assert done.returncode == 0, done.stderr
        end.set()
    await by_lane.close()
    await plain.close()
    after = {entry.pid for entry in registered("sequencer")}
    assert len(after) == workers
    assert not after & before
    taken = sorted((*by_lane.taken, *plain.taken), key=lambda ids: ids.start)
    assert all(one.stop <= other.start for one, other in pairwise(taken))
    serving.stop()
