"""The sequencer's contract: messages to use cases and back."""
# ruff: noqa: ARG002 - methods are named by the contract; the transport's context goes unused

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import grpc

from engine.sequencer.v1 import sequencer_pb2 as pb
from engine.sequencer.v1 import sequencer_pb2_grpc as pb_grpc
from mesh.clock import Clock
from mesh.context import current
from mesh.paging import PageRequest
from sequencer import messages
from sequencer.definition import State, invalid
from sequencer.entry import Action
from sequencer.ledger import Wish
from sequencer.log import EntryFilter
from sequencer.service import STREAMED, Sequencer

Context = grpc.aio.ServicerContext[Any, Any]

_ABOVE_ALL: Final = 2**63 - 1
_CHANGEABLE: Final = frozenset({"callers", "retention_days"})
_DAY: Final = timedelta(days=1)


class SequencerRpc(pb_grpc.SequencerServiceServicer):
    """Serves `engine.sequencer.v1.SequencerService`."""

    def __init__(self, sequencer: Sequencer, clock: Clock) -> None:
        self._sequencer = sequencer
        self._clock = clock

    async def CreateSequence(
        self, request: pb.CreateSequenceRequest, context: Context
    ) -> pb.CreateSequenceResponse:
        wanted = messages.definition(request.sequence, self._clock.now())
        standing = await self._sequencer.create(wanted, holder("rpc"))
        return pb.CreateSequenceResponse(sequence=messages.sequence(standing))

    async def GetSequence(
        self, request: pb.GetSequenceRequest, context: Context
    ) -> pb.GetSequenceResponse:
        standing = await self._sequencer.get(request.name)
        return pb.GetSequenceResponse(sequence=messages.sequence(standing))

    async def ListSequences(
        self, request: pb.ListSequencesRequest, context: Context
    ) -> pb.ListSequencesResponse:
        asked = PageRequest(listing="sequences", size=request.page_size, token=request.page_token)
        found = await self._sequencer.page(after=asked.after_text(), limit=asked.limit)
        page = asked.page(found, lambda standing: standing.definition.name)
        return pb.ListSequencesResponse(
            sequences=map(messages.sequence, page.entries), next_page_token=page.next_token
        )

    async def UpdateSequence(
        self, request: pb.UpdateSequenceRequest, context: Context
    ) -> pb.UpdateSequenceResponse:
        wanted, paths = request.sequence, frozenset(request.update_mask.paths) or _CHANGEABLE
        if unknown := paths - _CHANGEABLE:
            raise invalid("update_mask", f"{', '.join(sorted(unknown))} cannot be changed")
        standing = await self._sequencer.update(
            wanted.name,
            holder("rpc"),
            callers=messages.callers(wanted) if "callers" in paths else None,
            retention_days=wanted.retention_days if "retention_days" in paths else None,
            revision=messages.revision(wanted.etag),
        )
        return pb.UpdateSequenceResponse(sequence=messages.sequence(standing))

    async def RenameSequence(
        self, request: pb.RenameSequenceRequest, context: Context
    ) -> pb.RenameSequenceResponse:
        standing = await self._sequencer.rename(request.name, request.new_name, holder("rpc"))
        return pb.RenameSequenceResponse(sequence=messages.sequence(standing))

    async def SetSequenceState(
        self, request: pb.SetSequenceStateRequest, context: Context
    ) -> pb.SetSequenceStateResponse:
        state = State(request.state)
        standing = await self._sequencer.set_state(request.name, state, holder("rpc"))
        return pb.SetSequenceStateResponse(sequence=messages.sequence(standing))

    async def LeaseRange(
        self, request: pb.LeaseRangeRequest, context: Context
    ) -> pb.LeaseRangeResponse:
        wish = Wish(
            holder=holder(request.client_id),
            size=request.size,
            last=messages.witness(request.last) if request.HasField("last") else None,
            kind=messages.kind(request.kind),
            is_believed=_is_service(),
        )
        definition, entry = await self._sequencer.lease(request.name, wish)
        return pb.LeaseRangeResponse(lease=messages.lease(definition, entry))

    async def StreamRanges(
        self, request: pb.StreamRangesRequest, context: Context
    ) -> AsyncIterator[pb.StreamRangesResponse]:
        wish = Wish(holder=holder(request.client_id), size=request.range_size or STREAMED)
        async for definition, entry in self._sequencer.stream(request.name, wish, request.count):
            yield pb.StreamRangesResponse(lease=messages.lease(definition, entry))

    async def ReturnRange(
        self, request: pb.ReturnRangeRequest, context: Context
    ) -> pb.ReturnRangeResponse:
        returned = await self._sequencer.take_back(
            request.name,
            holder(request.client_id),
            (request.lease_number, request.mark),
            request.used,
            lost=request.lost,
        )
        return pb.ReturnRangeResponse(returned=returned)

    async def ListLeases(
        self, request: pb.ListLeasesRequest, context: Context
    ) -> pb.ListLeasesResponse:
        asked = PageRequest(
            listing=_listing(request), size=request.page_size, token=request.page_token
        )
        (before,) = asked.after_numbers(1) or (_ABOVE_ALL,)
        if request.HasField("id"):
            definition, found = await self._sequencer.holding(
                request.name, request.id, before=before, limit=asked.limit
            )
        else:
            definition, found = await self._sequencer.entries(
                request.name, before=before, limit=asked.limit, only=_filter(request)
            )
        page = asked.page(found, lambda entry: (entry.number,))
        return pb.ListLeasesResponse(
            leases=[messages.lease(definition, entry) for entry in page.entries],
            next_page_token=page.next_token,
        )

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        until = messages.moment(request, "until_time") or self._clock.now()
        since = messages.moment(request, "from_time") or until - _DAY
        usage = await self._sequencer.usage(request.name, since, until)
        lines = [
            pb.Usage(caller=name, leases=one.leases, granted=one.granted, returned=one.returned)
            for name, one in usage.items()
        ]
        return pb.GetUsageResponse(usage=sorted(lines, key=lambda line: -line.granted))

    async def FenceSequence(
        self, request: pb.FenceSequenceRequest, context: Context
    ) -> pb.FenceSequenceResponse:
        standing = await self._sequencer.fence(request.name, request.at_least, holder("rpc"))
        return pb.FenceSequenceResponse(sequence=messages.sequence(standing))

    async def GetWitness(
        self, request: pb.GetWitnessRequest, context: Context
    ) -> pb.GetWitnessResponse:
        found = await self._sequencer.witness(request.name)
        return pb.GetWitnessResponse(witness=messages.proof(found) if found else None)


def holder(client_id: str) -> str:
    """Who holds a lease: client ids are free text, and known to all who may list leases."""
    return f"{current().actor}/{client_id}"


def _is_service() -> bool:
    """Whether the caller is a service of the mesh that acts for itself."""
    context = current()
    return bool(context.service and not context.principal and not context.on_behalf_of)


def _filter(request: pb.ListLeasesRequest) -> EntryFilter:
    return EntryFilter(
        caller=request.caller,
        since=messages.moment(request, "from_time"),
        until=messages.moment(request, "until_time"),
        actions=frozenset(Action(action) for action in request.actions if action),
    )


def _listing(request: pb.ListLeasesRequest) -> str:
    plain = pb.ListLeasesRequest()
    plain.CopyFrom(request)
    plain.ClearField("page_token")
    plain.ClearField("page_size")
    return f"leases {plain.SerializeToString(deterministic=True).hex()}"
