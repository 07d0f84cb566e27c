"""The sequencer's contract: messages to use cases and back."""
# ruff: noqa: ARG002 - methods are named by the contract; the transport's context goes unused

from __future__ import annotations

from typing import Any, Final

import grpc

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from mesh.context import current
from mesh.paging import PageRequest
from sequencer import domain
from sequencer.service import Sequencer

Context = grpc.aio.ServicerContext[Any, Any]

_ABOVE_ALL: Final = 2**63 - 1


class SequencerRpc(pb_grpc.SequencerServiceServicer):
    """Serves `engine.sequencer.v1.SequencerService`."""

    def __init__(self, sequencer: Sequencer) -> None:
        self._sequencer = sequencer

    async def CreateSequence(
        self, request: pb.CreateSequenceRequest, context: Context
    ) -> pb.CreateSequenceResponse:
        wanted = request.sequence
        sequence = await self._sequencer.create(
            wanted.name, start=wanted.start, max_value=wanted.max_value
        )
        return pb.CreateSequenceResponse(sequence=_sequence(sequence))

    async def GetSequence(
        self, request: pb.GetSequenceRequest, context: Context
    ) -> pb.GetSequenceResponse:
        sequence = await self._sequencer.get(request.name)
        return pb.GetSequenceResponse(sequence=_sequence(sequence))

    async def ListSequences(
        self, request: pb.ListSequencesRequest, context: Context
    ) -> pb.ListSequencesResponse:
        asked = PageRequest(listing="sequences", size=request.page_size, token=request.page_token)
        found = await self._sequencer.sequences(after=asked.after_text(), limit=asked.limit)
        page = asked.page(found, lambda sequence: sequence.name)
        return pb.ListSequencesResponse(
            sequences=map(_sequence, page.entries), next_page_token=page.next_token
        )

    async def LeaseRange(
        self, request: pb.LeaseRangeRequest, context: Context
    ) -> pb.LeaseRangeResponse:
        demand = domain.Demand(
            client_id=_holder(request.client_id),
            size=request.size,
            last_lease_number=request.last_lease_number,
            last_id=request.last_id,
            is_believed=_is_service(),
        )
        lease = await self._sequencer.lease(request.name, demand)
        return pb.LeaseRangeResponse(lease=_lease(lease))

    async def ReturnRange(
        self, request: pb.ReturnRangeRequest, context: Context
    ) -> pb.ReturnRangeResponse:
        returned = await self._sequencer.take_back(
            request.name,
            client_id=_holder(request.client_id),
            lease_number=request.lease_number,
            first_unused=request.first_unused,
        )
        return pb.ReturnRangeResponse(returned=returned)

    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: Context
    ) -> pb.ListLeasesResponse:
        listing = f"leases of {request.name} {request.id}"
        asked = PageRequest(listing=listing, size=request.page_size, token=request.page_token)
        (before,) = asked.after_numbers(1) or (_ABOVE_ALL,)
        if request.id:
            lease = await self._sequencer.lease_of(request.name, request.id)
            return pb.ListLeasesResponse(leases=[_lease(lease)] if lease else [])
        found = await self._sequencer.leases(request.name, before=before, limit=asked.limit)
        page = asked.page(found, lambda lease: (lease.number,))
        return pb.ListLeasesResponse(
            leases=map(_lease, page.entries), next_page_token=page.next_token
        )


def _holder(client_id: str) -> str:
    """Who holds a lease: client ids are free text, and known to all who may list leases."""
    return f"{current().actor}/{client_id}"


def _is_service() -> bool:
    """Whether the caller is a service of the mesh that acts for itself."""
    context = current()
    return bool(context.service and not context.principal and not context.on_behalf_of)


def _sequence(sequence: domain.Sequence) -> pb.Sequence:
    message = pb.Sequence(
        name=sequence.name,
        kind=pb.SEQUENCE_KIND_SEGMENT,
        start=sequence.start,
        max_value=sequence.max_value,
        next_value=sequence.next_value,
        lease_number=sequence.lease_number,
    )
    message.create_time.FromDatetime(sequence.create_time)
    return message


def _lease(lease: domain.Lease) -> pb.Lease:
    message = pb.Lease(
        lease_number=lease.number,
        first=lease.first,
        size=lease.size,
        client_id=lease.client_id,
        state=pb.LeaseState.ValueType(lease.state.value),
    )
    message.lease_time.FromDatetime(lease.lease_time)
    return message
