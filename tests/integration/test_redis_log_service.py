"""The sequencer with its logs in Redis, over real sockets and the real chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from loadtests.servers import Redis
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

pytestmark = pytest.mark.real

RIGHTS = {"sequencer.read", "sequencer.create", "sequencer.lease", "sequencer.operate"}
NAME = "shop.order"


@asynccontextmanager
async def serving(var: Path, server: Redis, log: str) -> AsyncIterator[Stub]:
    """The service with its logs in one place, on data that outlives it."""
    async with Mesh(var, redis_url=server.url, redis_timeout_s=5.0, sequencer_log=log) as mesh:
        await mesh.start(BLUEPRINT)
        token = mesh.token("ops", permissions=RIGHTS)
        yield SequencerServiceStub(mesh.channel("sequencer", token=token))


async def lease(stub: Stub, size: int) -> pb.Lease:
    request = pb.LeaseRangeRequest(name=NAME, client_id="till", size=size)
    return (await stub.LeaseRange(request)).lease


async def next_id(stub: Stub) -> int:
    request = pb.GetSequenceRequest(name=NAME)
    return (await stub.GetSequence(request)).sequence.next_value


async def test_a_sequence_goes_to_redis_and_comes_back(var: Path, redis_server: Redis) -> None:
    """By its setting; going there costs no ids, coming back what the floor was ahead."""
    wanted = pb.CreateSequenceRequest(sequence=pb.Sequence(name=NAME))
    async with serving(var, redis_server, "sql") as stub:
        await stub.CreateSequence(wanted)
        assert (await lease(stub, 10)).first == 1
    async with serving(var, redis_server, "redis") as stub:
        assert await next_id(stub) == 11
        held = await lease(stub, 10)
        assert held.first == 11
        mark = held.witness.mark
        back = pb.ReturnRangeRequest(
            name=NAME, client_id="till", lease_number=held.lease_number, mark=mark, used=4
        )
        assert (await stub.ReturnRange(back)).returned == 6
        assert (await lease(stub, 6)).first == 15
        found = await stub.ListLeases(pb.ListLeasesRequest(name=NAME, id=16))
        assert [one.action for one in found.leases] == [
            pb.LEASE_ACTION_GRANTED,
            pb.LEASE_ACTION_RETURNED,
            pb.LEASE_ACTION_GRANTED,
        ]
    async with serving(var, redis_server, "sql") as stub:
        again = await lease(stub, 10)
        assert again.first > 1_000_000
        found = await stub.ListLeases(pb.ListLeasesRequest(name=NAME, id=21))
        assert [one.note for one in found.leases] == ["went on from the floor of Redis"]
    async with serving(var, redis_server, "redis") as stub:
        assert (await lease(stub, 10)).first == again.first + 10
