"""Ranges that come back, and servers that are started again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from tests.integration.sequences import (
    NAME,
    create,
    failure,
    get,
    give_back,
    lease,
    token,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


async def test_a_returned_tail_goes_to_a_new_client_alone(stub: Stub) -> None:
    """A client that holds higher ids never goes back; a new one starts with the tail."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    assert await give_back(stub, NAME, held, 40) == 60
    assert (await get(stub, NAME)).returned == 60

    assert (await lease(stub, NAME, "a", 10, held)).first == 101
    part = await lease(stub, NAME, "b", 20)
    assert (part.first, part.size) == (41, 20)
    rest = await lease(stub, NAME, "c", 1_000)
    assert (rest.first, rest.size) == (61, 40)
    assert held.lease_number < part.lease_number < rest.lease_number
    assert (await lease(stub, NAME, "d", 5)).first == 111


async def test_returning_twice_changes_nothing(stub: Stub) -> None:
    """A repeated return answers 0, also when the tail has gone to somebody else."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    assert await give_back(stub, NAME, held, 40) == 60
    assert await give_back(stub, NAME, held, 40) == 0
    await lease(stub, NAME, "b", 60)

    assert await give_back(stub, NAME, held, 40) == 0
    assert (await lease(stub, NAME, "c", 1)).first == 101


async def test_only_the_holder_returns_a_lease(stub: Stub) -> None:
    """Another client's lease, one that never was, and one of another mark are not found."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    number, mark = held.lease_number, held.witness.mark
    foreign = pb.Lease(lease_number=number, client_id="ops/b", witness=pb.Witness(mark=mark))
    unknown = pb.Lease(lease_number=99, client_id="ops/a", witness=pb.Witness(mark=mark))
    other = pb.Lease(lease_number=number, client_id="ops/a", witness=pb.Witness(mark=mark ^ 1))
    created = pb.Lease(lease_number=1, client_id="ops/rpc", witness=pb.Witness(mark=mark))

    for claimed in (foreign, unknown, other, created):
        missing = await failure(give_back(stub, NAME, claimed, 50))
        assert missing.reason == "LEASE_NOT_FOUND"
    outside = await failure(give_back(stub, NAME, held, 101))
    assert outside.violations[0].field == "used"


async def test_a_lease_cannot_be_returned_under_its_client_id_by_another(
    stub: Stub, mesh: Mesh
) -> None:
    """A client id is a name within its caller: a service or user with it holds nothing of it."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 100)
    assert held.client_id == "ops/a"

    for channel in (
        mesh.channel("sequencer", token=token(mesh, "thief")),
        mesh.channel("sequencer", caller="shop"),
    ):
        thief = SequencerServiceStub(channel)
        for number, client in ((held.lease_number, "a"), (held.lease_number, "ops/a"), (99, "a")):
            claimed = pb.ReturnRangeRequest(
                name=NAME, client_id=client, lease_number=number, mark=held.witness.mark
            )
            missing = await failure(thief.ReturnRange(claimed))
            assert (missing.reason, missing.message, missing.metadata) == (
                "LEASE_NOT_FOUND",
                "The client holds no such lease",
                {},
            )
    assert (await lease(stub, NAME, "b", 1)).first == 101
    assert await give_back(stub, NAME, held, 40) == 60


async def test_restarting_the_service_keeps_the_counter(var: Path) -> None:
    """What was granted before a restart is never granted after it."""
    for first in (1, 101):
        async with Mesh(var) as mesh:
            await mesh.start(BLUEPRINT)
            stub = SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))
            await create(stub, NAME)
            assert (await lease(stub, NAME, f"c{first}", 100)).first == first


async def test_leases_outlive_a_restart(var: Path) -> None:
    """A tail may come back to a server that did not grant it, and its witness is borne out."""
    held: list[pb.Lease] = []
    steps: list[Callable[[Stub], Awaitable[Any]]] = [
        lambda stub: create(stub, NAME),
        lambda stub: lease(stub, NAME, "a", 100),
        lambda stub: give_back(stub, NAME, held[1], 40),
        lambda stub: lease(stub, NAME, "a", 100, held[1]),
    ]
    for step in steps:
        async with Mesh(var) as mesh:
            await mesh.start(BLUEPRINT)
            stub = SequencerServiceStub(mesh.channel("sequencer", token=token(mesh)))
            held.append(await step(stub))
    assert (held[3].first, held[3].witness.epoch) == (101, 0)
