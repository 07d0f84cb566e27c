"""Who may do what, and take how many ids."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh import contract
from mesh.testing import Mesh
from sequencer.app import BLUEPRINT
from sequencer.definition import Caller
from sequencer.store import SqlCatalogue
from tests.integration.sequences import (
    DRAINING,
    NAME,
    RIGHTS,
    Pair,
    create,
    failure,
    get,
    give_back,
    lease,
    leases,
    set_state,
    streamed,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


@pytest.mark.parametrize("permission", sorted(RIGHTS))
async def test_each_method_needs_its_right(mesh: Mesh, permission: str) -> None:
    """A caller with one right may do one kind of thing."""
    await mesh.start(BLUEPRINT)
    narrow = mesh.token("ops", permissions={permission})
    stub = SequencerServiceStub(mesh.channel("sequencer", token=narrow))
    wanted = pb.Sequence(name="a.b")
    held = pb.Lease(lease_number=1, client_id="ops/a")
    calls: dict[str, list[Awaitable[Any]]] = {
        "sequencer.create": [
            create(stub, "a.b"),
            stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=wanted)),
        ],
        "sequencer.read": [
            get(stub, "a.b"),
            stub.ListSequences(pb.ListSequencesRequest()),
            leases(stub, "a.b"),
            stub.GetUsage(pb.GetUsageRequest(name="a.b")),
        ],
        "sequencer.lease": [
            lease(stub, "a.b", "a", 1),
            give_back(stub, "a.b", held, 1),
            streamed(stub, "a.b", 1),
        ],
        "sequencer.operate": [
            stub.RenameSequence(pb.RenameSequenceRequest(name="a.b", new_name="a.c")),
            set_state(stub, "a.b", DRAINING),
            stub.FenceSequence(pb.FenceSequenceRequest(name="a.b", at_least=1)),
        ],
        "being a service": [stub.GetWitness(pb.GetWitnessRequest(name="a.b"))],
    }

    for needed, group in calls.items():
        for call in group:
            try:
                await call
                allowed = True
            except grpc.aio.AioRpcError as error:
                allowed = error.code() is not grpc.StatusCode.PERMISSION_DENIED
            assert allowed == (needed == permission)


def test_what_changes_a_sequence_for_all_is_audited() -> None:
    """Takes of ids are not: the log of the sequence is their audit."""
    service = pb.DESCRIPTOR.services_by_name["SequencerService"]
    methods = [contract.method(descriptor) for descriptor in service.methods]

    audited = {method.name for method in methods if method.policy.audited}

    assert audited == {
        "CreateSequence",
        "UpdateSequence",
        "RenameSequence",
        "SetSequenceState",
        "FenceSequence",
    }


async def test_only_named_callers_take_ids(stub: Stub, mesh: Mesh) -> None:
    """A user or a service; who is not named is told whom to ask, and may be added."""
    made = await create(stub, NAME, callers=[pb.Caller(name="ops")])
    shop = SequencerServiceStub(mesh.channel("sequencer", caller="shop"))
    assert (await lease(stub, NAME, "a", 1)).first == 1

    refused = await failure(lease(shop, NAME, "a", 1))
    assert (refused.code, refused.reason) == (
        grpc.StatusCode.PERMISSION_DENIED,
        "CALLER_NOT_ALLOWED",
    )
    assert refused.metadata["caller"] == "mesh:shop"

    made.callers.add(name="mesh:shop")
    await stub.UpdateSequence(pb.UpdateSequenceRequest(sequence=made))
    assert (await lease(shop, NAME, "a", 1)).first == 2


async def test_callers_that_would_be_refused_today_hinder_no_other_change(
    mesh: Mesh, stub: Stub
) -> None:
    """A sequence keeps those that it was made with, until others are named."""
    await create(stub, NAME, kind=pb.SEQUENCE_KIND_SNOWFLAKE)
    async with mesh.store("sequencer") as store:
        catalogue = SqlCatalogue(store)
        known = await catalogue.find(NAME)
        assert known is not None
        old = (Caller(name="ops", daily_quota=5),)
        await catalogue.change(replace(known, callers=old, revision=known.revision + 1))
    wanted = pb.Sequence(name=NAME, retention_days=9, callers=[pb.Caller(name="a", daily_quota=1)])
    update = pb.UpdateSequenceRequest(sequence=wanted)
    update.update_mask.paths.append("retention_days")

    changed = (await stub.UpdateSequence(update)).sequence

    assert (changed.retention_days, changed.callers[0].daily_quota) == (9, 5)
    update.update_mask.paths.append("callers")
    assert (await failure(stub.UpdateSequence(update))).reason == "INVALID_ARGUMENT"


async def test_a_caller_takes_no_more_than_its_quota_a_day(pair: Pair) -> None:
    """Counted exactly over two servers; returned ids may be taken again; a new day is new."""
    await create(pair.one, NAME, callers=[pb.Caller(name="ops", daily_quota=100)])
    first = await lease(pair.one, NAME, "a", 60)
    last = await lease(pair.other, NAME, "b", 30)

    for stub in (pair.one, pair.other):
        refused = await failure(lease(stub, NAME, "a", 11, first))
        assert (refused.code, refused.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "QUOTA_EXHAUSTED",
        )
        assert refused.metadata == {"caller": "ops", "daily_quota": "100"}
    assert await give_back(pair.one, NAME, last, 10) == 20
    assert (await lease(pair.other, NAME, "a", 30, first)).size == 30
    assert (await failure(lease(pair.one, NAME, "a", 1, first))).reason == "QUOTA_EXHAUSTED"

    pair.clock.advance(15 * 3_600 - 1)
    assert (await failure(lease(pair.one, NAME, "a", 1, first))).reason == "QUOTA_EXHAUSTED"
    pair.clock.advance(1)
    assert (await lease(pair.one, NAME, "a", 100, first)).size == 100
    assert (await failure(lease(pair.other, NAME, "a", 1, first))).reason == "QUOTA_EXHAUSTED"


async def test_a_quota_is_exact_though_all_ask_at_once(pair: Pair) -> None:
    """Of twenty wishes that do not all fit two servers grant as many as do."""
    await create(pair.one, NAME, callers=[pb.Caller(name="ops", daily_quota=95)])
    await lease(pair.one, NAME, "warm", 5)
    await lease(pair.other, NAME, "warm", 10)

    done = await asyncio.gather(
        *(
            lease(stub, NAME, f"c{number}", 10)
            for number in range(10)
            for stub in (pair.one, pair.other)
        ),
        return_exceptions=True,
    )

    assert sum(held.size for held in done if isinstance(held, pb.Lease)) == 80
