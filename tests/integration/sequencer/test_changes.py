"""Changing what a sequence is called, who may take from it, and whether it grants."""

from __future__ import annotations

from typing import TYPE_CHECKING

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from tests.integration.sequences import (
    ACTIVE,
    CHANGED,
    DRAINING,
    NAME,
    RETIRED,
    Pair,
    create,
    failure,
    get,
    give_back,
    lease,
    leases,
    set_state,
)

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub


async def test_settings_change_under_an_etag(stub: Stub) -> None:
    """What the mask names, once; who read it earlier is told to read it again."""
    made = await create(stub, NAME, callers=[pb.Caller(name="ops", daily_quota=5)])
    made.retention_days, made.callers[0].daily_quota = 30, 7
    update = pb.UpdateSequenceRequest(sequence=made)
    update.update_mask.paths.append("retention_days")

    changed = (await stub.UpdateSequence(update)).sequence
    assert (changed.retention_days, changed.callers[0].daily_quota) == (30, 5)
    assert changed.etag != made.etag

    stale = await failure(stub.UpdateSequence(update))
    assert (stale.code, stale.reason) == (grpc.StatusCode.ABORTED, "SEQUENCE_CHANGED")
    unguarded = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME, retention_days=9))
    assert not (await stub.UpdateSequence(unguarded)).sequence.callers
    newest = (await leases(stub, NAME, actions=[CHANGED]))[0]
    assert (newest.client_id, newest.note) == ("ops/rpc", "settings")


@pytest.mark.parametrize(
    ("field", "etag", "path"),
    [
        ("update_mask", "", "start"),
        ("update_mask", "", "no_such_field"),
        ("sequence.etag", "soon", "callers"),
        ("sequence.etag", "1" * 41, "callers"),
    ],
)
async def test_what_makes_an_id_cannot_change(stub: Stub, field: str, etag: str, path: str) -> None:
    """Nor is a mask or an etag taken that this service does not know."""
    await create(stub, NAME)
    update = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME, etag=etag))
    update.update_mask.paths.append(path)

    assert (await failure(stub.UpdateSequence(update))).violations[0].field == field


async def test_a_change_is_heeded_by_every_server(pair: Pair) -> None:
    """Whatever the other one had in hand: at its next grant, or refusal, it knows."""
    made = await create(pair.one, NAME)
    for stub in (pair.one, pair.other):
        await lease(stub, NAME, "warm", 1)

    made.callers.add(name="nobody")
    await pair.one.UpdateSequence(pb.UpdateSequenceRequest(sequence=made))
    assert (await failure(lease(pair.other, NAME, "a", 1))).reason == "CALLER_NOT_ALLOWED"

    opened = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=NAME))
    await pair.one.UpdateSequence(opened)
    assert (await lease(pair.other, NAME, "a", 1)).first == 3
    await set_state(pair.other, NAME, DRAINING)
    assert (await failure(lease(pair.one, NAME, "a", 1))).reason == "SEQUENCE_CLOSED"
    await set_state(pair.other, NAME, ACTIVE)
    assert (await lease(pair.one, NAME, "a", 1)).first == 4


async def test_a_renamed_sequence_goes_on_under_both_names(pair: Pair) -> None:
    """On every server; the old name is not free, and once more changes nothing."""
    await create(pair.one, NAME)
    held = await lease(pair.other, NAME, "a", 10)
    rename = pb.RenameSequenceRequest(name=NAME, new_name="shop.sale")
    for _ in range(2):
        renamed = (await pair.one.RenameSequence(rename)).sequence
        assert renamed.name == "shop.sale"

    assert (await lease(pair.other, NAME, "a", 10, held)).first == 11
    assert (await lease(pair.other, "shop.sale", "b", 10)).first == 21
    assert (await get(pair.one, NAME)).name == "shop.sale"
    assert (await failure(create(pair.one, NAME))).reason == "SEQUENCE_EXISTS"
    listed = await pair.one.ListSequences(pb.ListSequencesRequest())
    assert [sequence.name for sequence in listed.sequences] == ["shop.sale"]
    assert (await leases(pair.one, NAME, actions=[CHANGED]))[0].note == f"renamed from {NAME}"


@pytest.mark.parametrize("taken", ["other.one", "other.before"])
async def test_a_name_that_another_has_or_had_is_refused(stub: Stub, taken: str) -> None:
    """A sequence keeps the name that it has then."""
    await create(stub, NAME)
    await create(stub, "other.before")
    await stub.RenameSequence(pb.RenameSequenceRequest(name="other.before", new_name="other.one"))

    refused = await failure(
        stub.RenameSequence(pb.RenameSequenceRequest(name=NAME, new_name=taken))
    )

    assert (refused.code, refused.reason) == (grpc.StatusCode.ALREADY_EXISTS, "NAME_TAKEN")
    assert (await get(stub, NAME)).etag == "1"


async def test_a_sequence_drains_before_it_retires(stub: Stub) -> None:
    """Draining grants nothing and takes back; it can be undone; retirement cannot."""
    await create(stub, NAME)
    held = await lease(stub, NAME, "a", 10)
    early = await failure(set_state(stub, NAME, RETIRED))
    assert (early.reason, early.metadata) == (
        "STATE_REFUSED",
        {"from": "ACTIVE", "to": "RETIRED"},
    )

    for _ in range(2):
        assert (await set_state(stub, NAME, DRAINING)).state == DRAINING
    closed = await failure(lease(stub, NAME, "b", 1))
    assert (closed.code, closed.reason) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "SEQUENCE_CLOSED",
    )
    assert closed.metadata["state"] == "DRAINING"
    assert await give_back(stub, NAME, held, 5) == 5
    await set_state(stub, NAME, ACTIVE)
    assert (await lease(stub, NAME, "b", 1)).first == 6

    await set_state(stub, NAME, DRAINING)
    await set_state(stub, NAME, RETIRED)
    assert (await failure(lease(stub, NAME, "b", 1))).reason == "SEQUENCE_CLOSED"
    for state in (ACTIVE, DRAINING):
        assert (await failure(set_state(stub, NAME, state))).reason == "STATE_REFUSED"
    assert [row.client_id for row in await leases(stub, NAME, id=1)] == ["ops/a"]
