"""Calls of the sequencer in few words, for tests over real sockets."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh import ErrorView
from mesh.app import App
from mesh.channel import Channel
from mesh.clock import ManualClock
from mesh.context import AUTHORIZATION, CALLER
from mesh.testing import Mesh
from mesh.tokens import ServiceKey

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

RIGHTS: Final = {
    f"sequencer.{right}" for right in ("read", "create", "lease", "operate", "witness")
}


NAME: Final = "shop.order"
MAX_ID: Final = 2**63 - 1
MIN_ID: Final = -(2**63)
MORNING: Final = datetime(2026, 1, 5, 9, tzinfo=UTC)
STRICT: Final = pb.SEQUENCE_KIND_STRICT
GRANTED, RETURNED = pb.LEASE_ACTION_GRANTED, pb.LEASE_ACTION_RETURNED
CREATED, FENCED = pb.LEASE_ACTION_CREATED, pb.LEASE_ACTION_FENCED
CHANGED, LOST = pb.LEASE_ACTION_CHANGED, pb.LEASE_ACTION_LOST
ACTIVE, DRAINING = pb.SEQUENCE_STATE_ACTIVE, pb.SEQUENCE_STATE_DRAINING
RETIRED: Final = pb.SEQUENCE_STATE_RETIRED


@dataclass(slots=True)
class Pair:
    """Two servers on one store, and the clock of both."""

    clock: ManualClock
    one: Stub
    other: Stub


def token(mesh: Mesh, subject: str = "ops") -> str:
    """A user who may do everything."""
    return mesh.token(subject, permissions=RIGHTS)


def moment(at: datetime) -> Timestamp:
    """A point in time as messages have it."""
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp


def at(mesh: Mesh, server: App, subject: str = "ops", caller: str = "") -> tuple[Channel, Stub]:
    """A way to one of several servers, of a user or a service.

    The channel is the caller's to close.
    """
    proof = (AUTHORIZATION, f"Bearer {token(mesh, subject)}")
    if caller:
        proof = (CALLER, ServiceKey.load(mesh.settings.key_dir, caller).token())
    channel = Channel("sequencer", lambda: [server.entry.address], lambda: (proof,))
    return channel, SequencerServiceStub(channel)


async def create(stub: Stub, name: str, **fields: Any) -> pb.Sequence:
    """A sequence."""
    wanted = pb.Sequence(name=name, **fields)
    return (await stub.CreateSequence(pb.CreateSequenceRequest(sequence=wanted))).sequence


async def get(stub: Stub, name: str) -> pb.Sequence:
    """A sequence as it stands."""
    return (await stub.GetSequence(pb.GetSequenceRequest(name=name))).sequence


async def lease(
    stub: Stub, name: str, client: str, size: int, last: pb.Lease | None = None, **more: Any
) -> pb.Lease:
    """A range, for a client whose newest lease is `last`."""
    proof = last.witness if last is not None else None
    request = pb.LeaseRangeRequest(name=name, client_id=client, size=size, last=proof, **more)
    return (await stub.LeaseRange(request)).lease


async def give_back(stub: Stub, name: str, held: pb.Lease, used: int) -> int:
    """Return all of a lease but its first `used` ids; how many came back."""
    request = pb.ReturnRangeRequest(
        name=name,
        client_id=held.client_id.partition("/")[2],
        lease_number=held.lease_number,
        mark=held.witness.mark,
        used=used,
    )
    return (await stub.ReturnRange(request)).returned


async def streamed(stub: Stub, name: str, count: int, **more: Any) -> list[pb.Lease]:
    """Ranges with so many ids in all."""
    request = pb.StreamRangesRequest(name=name, client_id="a", count=count, **more)
    return [answer.lease async for answer in stub.StreamRanges(request)]


async def set_state(stub: Stub, name: str, state: pb.SequenceState.ValueType) -> pb.Sequence:
    """Move a sequence along its life."""
    request = pb.SetSequenceStateRequest(name=name, state=state)
    return (await stub.SetSequenceState(request)).sequence


async def leases(stub: Stub, name: str, **only: Any) -> list[pb.Lease]:
    """Entries of a log, newest first."""
    return list((await stub.ListLeases(pb.ListLeasesRequest(name=name, **only))).leases)


def ids(held: pb.Lease) -> list[int]:
    """The ids of a lease."""
    return [held.first + place * held.increment for place in range(held.size)]


async def failure(call: Awaitable[Any]) -> ErrorView:
    """How a call fails."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return ErrorView.from_rpc(caught.value)
