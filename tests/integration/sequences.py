"""Calls of the sequencer in few words, for tests over real sockets."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any, Final

import grpc
import pytest

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceStub
from mesh import ErrorView
from mesh.app import App
from mesh.channel import Channel
from mesh.context import AUTHORIZATION, CALLER
from mesh.testing import Mesh
from mesh.tokens import ServiceKey

if TYPE_CHECKING:
    from engine.sequencer.v1.sequencer_pb2_grpc import SequencerServiceAsyncStub as Stub

RIGHTS: Final = {
    f"sequencer.{right}" for right in ("read", "create", "lease", "operate", "witness")
}


def at(mesh: Mesh, server: App, subject: str = "ops", caller: str = "") -> tuple[Channel, Stub]:
    """A way to one of several servers, of a user or a service.

    The channel is the caller's to close.
    """
    token = mesh.token(subject, permissions=RIGHTS)
    proof = (AUTHORIZATION, f"Bearer {token}")
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
