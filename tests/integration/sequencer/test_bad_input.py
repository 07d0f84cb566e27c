"""What no method of the sequencer takes."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.sequencer.v1 import sequencer_pb2 as pb
from tests.integration.sequences import (
    DRAINING,
    NAME,
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


BAD_INPUT: list[tuple[str, str, Any]] = [
    ("last.number", "LeaseRange", {"last": pb.Witness(number=-1)}),
    ("last.mark", "LeaseRange", {"last": pb.Witness(mark=-1)}),
    ("last.epoch", "LeaseRange", {"last": pb.Witness(epoch=-1)}),
    ("last.position", "LeaseRange", {"last": pb.Witness(position=-1)}),
    ("last", "LeaseRange", {"last": pb.Witness(number=2**62 + 1)}),
    ("kind", "LeaseRange", {"kind": 9}),
    ("client_id", "LeaseRange", {"client_id": ""}),
    ("client_id", "LeaseRange", {"client_id": "x" * 101}),
    ("size", "LeaseRange", {"size": -1}),
    ("size", "LeaseRange", {"size": 0}),
    ("size", "LeaseRange", {"size": 2**32 + 1}),
    ("client_id", "ReturnRange", {"client_id": ""}),
    ("lease_number", "ReturnRange", {"lease_number": 0}),
    ("mark", "ReturnRange", {"mark": -1}),
    ("used", "ReturnRange", {"used": -1}),
    ("lost", "ReturnRange", {"lost": -1}),
    ("lost", "ReturnRange", {"lost": 2}),
    ("page_size", "ListLeases", {"page_size": 1_001}),
    ("actions[0]", "ListLeases", {"actions": [99]}),
    ("from_time", "ListLeases", {"from_time": Timestamp(seconds=2**60)}),
    ("until_time", "GetUsage", {"until_time": Timestamp(seconds=2**60)}),
    ("state", "SetSequenceState", {"state": 0}),
    ("state", "SetSequenceState", {"state": 9}),
    ("new_name", "RenameSequence", {"new_name": "Not a name"}),
    ("name", "GetSequence", {"name": "x" * 111}),
    ("name", "LeaseRange", {"name": f"{NAME}@20261301"}),
    ("name", "LeaseRange", {"name": f"{NAME}@today"}),
]
USUAL: dict[str, dict[str, Any]] = {
    "LeaseRange": {"name": NAME, "client_id": "a", "size": 1},
    "ReturnRange": {"name": NAME, "client_id": "a", "lease_number": 1, "mark": 1, "used": 1},
}


@pytest.mark.parametrize(("field", "method", "values"), BAD_INPUT)
async def test_bad_input_is_refused(
    stub: Stub, field: str, method: str, values: dict[str, Any]
) -> None:
    """Each with the field that is wrong, and nothing happens."""
    await create(stub, NAME)
    usual = USUAL.get(method, {"name": NAME})
    request = getattr(pb, f"{method}Request")(**{**usual, **values})

    refused = await failure(getattr(stub, method)(request))

    assert refused.reason == "INVALID_ARGUMENT"
    assert field in {violation.field for violation in refused.violations}
    assert (await get(stub, NAME)).lease_number == 1


async def test_an_unknown_sequence_is_not_found_by_any_method(stub: Stub) -> None:
    """Each method says which sequence is missing, in two languages and with a next step."""
    name = "no.such"
    held = pb.Lease(lease_number=1, client_id="ops/a", witness=pb.Witness(mark=1))
    update = pb.UpdateSequenceRequest(sequence=pb.Sequence(name=name, retention_days=7))
    rename = pb.RenameSequenceRequest(name=name, new_name="other.name")
    calls: list[Awaitable[Any]] = [
        get(stub, name),
        leases(stub, name),
        leases(stub, name, id=5),
        lease(stub, name, "a", 1),
        give_back(stub, name, held, 1),
        set_state(stub, name, DRAINING),
        stub.GetUsage(pb.GetUsageRequest(name=name)),
        stub.FenceSequence(pb.FenceSequenceRequest(name=name, at_least=5)),
        stub.UpdateSequence(update),
        stub.RenameSequence(rename),
    ]

    for call in calls:
        missing = await failure(call)
        assert (missing.code, missing.reason) == (
            grpc.StatusCode.NOT_FOUND,
            "SEQUENCE_NOT_FOUND",
        )
        assert missing.metadata["sequence"] == name
        assert "engine seq create" in missing.next_step
        assert missing.titles["zh-CN"] == "序列不存在"
